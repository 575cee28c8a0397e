"""Bills as CSV: exports of the vendors are read as they are, and a bad row is named with what to write instead."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs import invoice_file
from stanchion_server.costs.invoice_file import Billed
from stanchion_server.kernel.errors import SenderError

DAY = date(2026, 11, 25)


def read(text: str) -> tuple[Billed, ...]:
    return invoice_file.read(text.encode()).lines


def test_the_documented_columns_are_read_and_rows_of_one_day_and_model_are_one_line() -> None:
    found = read(
        "day,model,usd,input_tokens,cached_input_tokens,output_tokens\n"
        "2026-11-25,gpt-4o,1.50,1000,200,50\n2026-11-25,gpt-4o,0.25,500,,\n2026-11-24,gpt-4o,3,,,\n"
    )
    assert found == (
        Billed(date(2026, 11, 24), "gpt-4o", Decimal(3)),
        Billed(DAY, "gpt-4o", Decimal("1.75"), 1500, 200, 50),
    )


OPENAI = """start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,\
line_item,user_id,api_key_id,project_id,organization_id,project_name,organization_name,user_email,api_source
1763942400,1764028800,2026-11-24T00:00:00+00:00,2026-11-25T00:00:00+00:00,,,,,,,,,,,,,
1764028800,1764115200,2026-11-25T00:00:00,2026-11-26T00:00:00,4.200000000000000000000000000000,usd,1000,tokens,\
"gpt-4o, input",,key_1,proj_a,org-a,A,Org,a@example.com,
"""
ANTHROPIC = """usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,\
cost_type,inference_geo,speed,api_key_id,api_key_status
2026-11-25,gpt-4o,Default,demo,message,≤ 200k,input_no_cache,4.00,4.00,token,not_available,,apikey_01,active
2026-11-25,gpt-4o,Default,demo,message,≤ 200k,output,0.20,0.20,token,not_available,,apikey_01,active
"""
AWS = """lineItem/UsageStartDate,lineItem/UsageType,lineItem/UnblendedCost,lineItem/CurrencyCode
2026-11-25T13:00:00Z,gpt-4o,4.2000000000,USD
"""
AWS_2 = """line_item_currency_code,line_item_unblended_cost,line_item_usage_start_date,line_item_usage_type
USD,4.2000000000,2026-11-25 13:00:00.000,gpt-4o
"""
FOCUS = """BilledCost,BillingAccountId,BillingCurrency,ChargeDescription,ChargePeriodEnd,ChargePeriodStart,ServiceName
4.2,999,USD,gpt-4o,2026-11-26T00:00:00Z,2026-11-25T00:00:00Z,Azure OpenAI
"""
AZURE = """date,meterName,meterCategory,billingCurrency,costInBillingCurrency,costInPricingCurrency,costInUsd
2026-11-25,gpt-4o,Cognitive Services,EUR,3.9,4.2,4.2
"""
GOOGLE = """service.description,sku.description,usage_start_time,usage_end_time,cost,currency
Vertex AI,gpt-4o,2026-11-25 08:00:00 UTC,2026-11-25 09:00:00 UTC,4.2,USD
"""
SEMICOLONS = "\ufeffDay;Model;USD\n2026-11-25;gpt-4o;$4.20\n"
TABS = "\r\nDate\tModel name\tAmount\tCost (USD)\r\n2026-11-25\tgpt-4o\tn/a\t4.2\r\n\r\n"


@pytest.mark.parametrize("text", [OPENAI, ANTHROPIC, AWS, AWS_2, FOCUS, AZURE, GOOGLE, SEMICOLONS, TABS])
def test_exports_of_several_kinds_are_read_as_they_are(text: str) -> None:
    assert read(text) == (Billed(DAY, "gpt-4o", Decimal("4.2")),)


def test_an_export_that_is_not_grouped_is_refused_with_the_remedy() -> None:
    row = "1764028800,1764115200,2026-11-25T00:00:00,2026-11-26T00:00:00,4.2,usd,,,,,,,org-a,,Org,a@example.com,\n"
    with pytest.raises(SenderError, match=r"Line 2: the model is empty; .* grouped by model or line item"):
        read(OPENAI.partition("\n")[0] + "\n" + row)


def test_an_amount_in_another_currency_is_refused_where_no_column_has_dollars() -> None:
    with pytest.raises(SenderError, match="Line 2: the currency is 'EUR'"):
        read(AZURE.replace(",costInUsd", "").replace(",4.2,4.2", ",4.2"))


@pytest.mark.parametrize(
    ("head", "row", "said"),
    [
        ("Date,MeterName,CostInBillingCurrency,BillingCurrencyCode", "2026-11-25,gpt-4.1,100,EUR", "currency is 'EUR'"),
        ("Date,MeterName,PreTaxCost,Billing Currency Code", "2026-11-25,gpt-4.1,100,JPY", "currency is 'JPY'"),
        ("day,model,cost,Currency (invoice)", "2026-11-25,gpt-4.1,100,eur", "currency is 'eur'"),
        ("day,model,cost,Currency,Account currency", "2026-11-25,gpt-4.1,100,USD,CHF", "currency is 'CHF'"),
        ("day,model,cost,x_PricingCurrency", "2026-11-25,gpt-4.1,100,EUR", "currency is 'EUR'"),
        ("day,model,cost,currency symbol", "2026-11-25,gpt-4.1,100,€", "currency is '€'"),
        ("Date,MeterName,CostInBillingCurrency", "2026-11-25,gpt-4.1,100", "may be in any currency"),
    ],
)
def test_no_amount_is_taken_for_dollars_whatever_the_heading_of_its_currency(head: str, row: str, said: str) -> None:
    with pytest.raises(SenderError) as refused:
        read(f"{head}\n{row}\n")
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("Date,MeterName,CostInBillingCurrency,BillingCurrencyCode,PricingCurrency", "2026-11-25,gpt-4o,4.2,USD,EUR"),
        ("UsageDate,MeterName,CostUSD,Cost,Currency", "2026-11-25,gpt-4o,4.2,3.9,EUR"),
        ("day,model,cost,Currency,Cost in local currency", "2026-11-25,gpt-4o,4.2,usd,3.90"),
    ],
)
def test_dollars_next_to_the_same_in_another_currency_are_dollars(head: str, row: str) -> None:
    assert read(f"{head}\n{row}\n") == (Billed(DAY, "gpt-4o", Decimal("4.2")),)


ROWS = "2026-11-25,gpt-4o,1.00\n2026-11-25,gpt-4o-mini,0.20\n"


@pytest.mark.parametrize(
    "row",
    ["2026-11-25,Total,1.20", "Total,,1.20", "Grand total,x,7", "2026-11-25,SUBTOTAL:,$1.20", "Sum of costs,,1.20",
     "2026-11-25,Invoice total (USD),1.2", ",,1.20"],
)  # fmt: skip
def test_a_row_that_adds_up_others_is_left_out_and_named(row: str) -> None:
    found = invoice_file.read(f"day,model,usd\n{ROWS}{row}\n".encode())
    assert sum(line.usd for line in found.lines) == Decimal("1.2")
    assert len(found.left_out) == 1 and found.left_out[0].startswith("Line 4 (")


def test_subtotals_are_left_out_and_a_model_that_costs_as_much_as_the_others_is_kept() -> None:
    found = invoice_file.read(
        b"day,model,usd\n2026-11-24,a,1\n2026-11-24,Total of a day,1\n2026-11-25,a,2\n2026-11-25,b,3\n"
        b"2026-11-25,Total of a day,5\nTotal,,6\n2026-11-26,c,6\n2026-11-26,total-recall-7b,4\n"
    )
    assert [(line.model, line.usd) for line in found.lines] == [
        ("a", 1), ("a", 2), ("b", 3), ("c", 6), ("total-recall-7b", 4),
    ]  # fmt: skip
    assert [one.partition(" (")[0] for one in found.left_out] == ["Line 3", "Line 6", "Line 7"]


def test_every_bad_row_is_named_with_its_line_and_a_remedy() -> None:
    with pytest.raises(SenderError) as refused:
        read(
            "day,model,usd,currency,input_tokens\n2026-11-25,gpt-4o,1,USD,5\n2026-11-25,,9,,\nyesterday,m,1,,\n"
            '2026-11-25,,1,,\n2026-11-25,m,"1.234,50",,\n2026-11-25,m,1,EUR,\n2026-11-25,m,1,,-3\n2026-11-25,m,1e400,,\n'
        )
    for said in (
        "Nothing was imported", "Line 3: the model is empty", "Line 4: the day 'yesterday'", "2026-11-25",
        "Line 6: the amount '1.234,50'", "Line 7: the currency is 'EUR'; convert", "Line 8: input_tokens is '-3'",
        "Line 9: the amount '1e400'",
    ):  # fmt: skip
        assert said in refused.value.message, said


@pytest.mark.parametrize("text", ["0,123", "1,234", "1.234,50", "-1,234.00", "12,5"])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_comma_in_an_amount_that_may_be_a_decimal_one_is_refused_with_the_remedy(text: str, delimiter: str) -> None:
    head, row = delimiter.join(("day", "model", "usd")), delimiter.join(("2026-11-25", "gpt-4o", text))
    with pytest.raises(SenderError) as refused:
        read(f"{head}\n{row}\n")
    assert f"Line 2: the amount '{text}' has a comma; write dollars with a point" in refused.value.message


def test_thousands_are_read_in_quoted_cells_of_files_with_commas_alone() -> None:
    found = read('day,model,usd,input_tokens\n2026-11-25,gpt-4o,"$1,234.50","1,000,000"\n2026-11-25,gpt-4o,"-1,000",\n')
    assert found == (Billed(DAY, "gpt-4o", Decimal("234.50"), 1_000_000),)
    for text in ("0,123", "01,234", "12,34", "1,2345", "1234,567"):
        with pytest.raises(SenderError, match="Line 2: the amount"):
            read(f'day,model,usd\n2026-11-25,gpt-4o,"{text}"\n')


def test_a_count_of_tokens_is_never_cut_to_what_stands_before_a_point() -> None:
    for text, count in (("1000", 1000), ("1000.0", 1000), ("1000.00", 1000)):
        assert read(f"day;model;usd;input_tokens\n2026-11-25;m;1;{text}\n")[0].input_tokens == count
    for text in ("1.000", "1.000.000", "1000.5", "1,000", "1000.", "0,5"):
        with pytest.raises(SenderError, match=r"Line 2: input_tokens is .* whole number without separators"):
            read(f"day;model;usd;input_tokens\n2026-11-25;m;1;{text}\n")


def test_rows_that_add_up_to_more_tokens_than_can_be_are_refused_by_line() -> None:
    row = f"2026-11-25,gpt-4o,1,{invoice_file.MOST_TOKENS}\n"
    assert read(f"day,model,usd,input_tokens\n{row}")[0].input_tokens == invoice_file.MOST_TOKENS
    with pytest.raises(SenderError, match="Line 3: input_tokens of 'gpt-4o' on 2026-11-25 add up to more than 10"):
        read(f"day,model,usd,input_tokens\n{row}2026-11-25,gpt-4o,1,1\n")


def test_ten_bad_rows_are_named_and_the_rest_counted() -> None:
    with pytest.raises(SenderError, match="And 5 more") as refused:
        read("day,model,usd\n" + "never,m,1\n" * 15)
    assert refused.value.message.count("Line ") == 10


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "No column for day, model, usd"), (b"day,model\n2026-11-25,m\n", "No column for usd"),
        (b"day,model,usd\n", "no rows"), (b"day,model,usd\n2026-11-25,m\xff,1\n", "Line 2 is not UTF-8"),
        (b"PK\x03\x04\0\0", "no CSV"), (b"day,model,usd\n" + b'"' + b"x" * 200_000 + b'"\n', "not readable as CSV"),
        (b"day,model,usd\n" + b"2026-11-25,m,1\n" * 50_001, "50000 rows"), (b"x" * (4 << 20) + b"x", "4 MiB"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_a_bill_is_refused_whole(raw: bytes, said: str) -> None:
    with pytest.raises(SenderError) as refused:
        invoice_file.read(raw)
    assert said in refused.value.message


@given(
    st.binary(max_size=300)
    | st.text(max_size=300).map(lambda text: f"day,model,usd\n{text}".encode("utf-8", "replace"))
)
def test_no_file_breaks_the_reader(raw: bytes) -> None:
    try:
        found = invoice_file.read(raw).lines
    except SenderError as error:
        assert error.message
    else:
        assert all(line.usd.is_finite() and line.model for line in found)


@given(st.lists(st.tuples(st.sampled_from(("a", "b")), st.integers(-(10**12), 10**12)), min_size=1, max_size=20))
def test_no_cent_is_lost_in_reading(rows: list[tuple[str, int]]) -> None:
    text = "day,model,usd\n" + "".join(f"2026-11-25,{model},{Decimal(cents).scaleb(-6):f}\n" for model, cents in rows)
    assert sum(line.usd for line in read(text)) == sum(Decimal(cents).scaleb(-6) for _model, cents in rows)
