"""When a maintenance window is on, and when it comes next: by the local calendar, through changes of clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.alerts import quieting

HOUR = timedelta(hours=1)
EVERY_DAY = frozenset(range(7))
DUBLIN, SYDNEY, LORD_HOWE = "Europe/Dublin", "Australia/Sydney", "Australia/Lord_Howe"


def window(zone: str = DUBLIN, starts: time = time(3), length: timedelta = HOUR, days: frozenset[int] = EVERY_DAY,
           ended_at: datetime | None = None) -> quieting.Maintenance:  # fmt: skip
    return quieting.Maintenance("night", (), zone, days, starts, length, ended_at)


def starts(found: quieting.Maintenance, now: datetime, count: int = 3) -> list[str]:
    return [f"{start:%a %d %H:%M}" for start, _end in quieting.upcoming(found, now, count)]


def test_the_next_three_keep_their_local_hour_when_clocks_go_back() -> None:
    assert starts(window(), datetime(2026, 10, 24, 12, tzinfo=UTC)) == ["Sun 25 03:00", "Mon 26 03:00", "Tue 27 03:00"]
    assert starts(window(), datetime(2026, 10, 23, 12, tzinfo=UTC)) == ["Sat 24 02:00", "Sun 25 03:00", "Mon 26 03:00"]


def test_a_start_that_clocks_skip_is_later_by_what_they_skip() -> None:
    found = window(starts=time(1, 30))
    assert starts(found, datetime(2026, 3, 28, 12, tzinfo=UTC)) == ["Sun 29 01:30", "Mon 30 00:30", "Tue 31 00:30"]
    start, _end = quieting.occurrence(found, date(2026, 3, 29))
    assert f"{start.astimezone(ZoneInfo(DUBLIN)):%H:%M}" == "02:30"


def test_a_start_that_comes_twice_is_its_first() -> None:
    found = window(starts=time(1, 30), length=2 * HOUR)
    assert quieting.upcoming(found, datetime(2026, 10, 24, 12, tzinfo=UTC), 1) == (
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 2, 30, tzinfo=UTC)),
    )


def test_clocks_that_move_by_half_an_hour_count_too() -> None:
    found = window(LORD_HOWE, time(4), days=frozenset({6}))
    assert starts(found, datetime(2026, 3, 27, tzinfo=UTC), 2) == ["Sat 28 17:00", "Sat 04 17:30"]


def test_a_day_long_window_reaches_over_a_day_of_23_hours() -> None:
    found = window(starts=time(23, 30), length=24 * HOUR, days=frozenset({5}))
    late = datetime(2026, 3, 30, 0, 15, tzinfo=ZoneInfo(DUBLIN)).astimezone(UTC)
    assert quieting.is_on(found, late), "Saturday's window is real 24 hours, of which Sunday has 23"
    assert not quieting.is_on(found, late + HOUR)


def test_what_a_person_ended_is_over_and_the_next_comes_as_planned() -> None:
    now = datetime(2026, 11, 24, 3, 20, tzinfo=UTC)
    found = window(ended_at=now)
    assert quieting.is_on(window(), now) and not quieting.is_on(found, now)
    assert starts(found, now) == ["Wed 25 03:00", "Thu 26 03:00", "Fri 27 03:00"]
    assert quieting.is_on(found, now + timedelta(days=1))


def test_a_window_without_days_never_comes() -> None:
    assert quieting.upcoming(window(days=frozenset()), datetime(2026, 1, 1, tzinfo=UTC), 3) == ()


@given(
    st.sampled_from([DUBLIN, SYDNEY, LORD_HOWE, "UTC", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Kiritimati"]),
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.integers(0, 15 * 366 * 86_400).map(
        lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    ),
)
def test_what_is_told_ahead_is_when_it_is_on(
    zone: str, days: frozenset[int], starts_min: int, length_min: int, now: datetime
) -> None:
    found = window(zone, time(*divmod(starts_min, 60)), timedelta(minutes=length_min), days)
    ahead = quieting.upcoming(found, now, 4)
    assert len(ahead) == 4 and list(ahead) == sorted(ahead)
    for start, end in ahead:
        assert end > now and end - start == timedelta(minutes=length_min)
        assert quieting.is_on(found, max(start, now)) and quieting.is_on(found, end - timedelta(microseconds=1))
        local = start.astimezone(ZoneInfo(zone))
        assert (local - timedelta(hours=1)).weekday() in days or local.weekday() in days
    assert quieting.is_on(found, now) == (ahead[0][0] <= now)
    over = replace(found, ended_at=now)
    assert not quieting.is_on(over, now)


def test_a_window_of_an_hour_is_on_for_one_hour_on_each_local_day() -> None:
    """Minute by minute through the night in which clocks go back: 01:30 comes twice, the window once."""
    begin = datetime(2026, 10, 24, 23, tzinfo=UTC)
    moments = [begin + timedelta(minutes=minute) for minute in range(48 * 60)]
    on = [moment for moment in moments if quieting.is_on(window(starts=time(1, 30)), moment)]
    first, second = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert on == [start + timedelta(minutes=minute) for start in (first, second) for minute in range(60)]
