"""The groundedness model was fitted on these features: whoever makes them faster may not change them."""

from __future__ import annotations

import pytest

from stanchion_guard.grounding.features import compare, gather
from stanchion_guard.grounding.words import sentences, tokens

SOURCES = """The Halden Bridge was opened on 3 May 1931, after six years of work. It carries two railway tracks and a
path for walkers across the Orm. The bridge is 412 metres long and was designed by Ingrid Solberg, who never saw it
finished. Trains may not cross it faster than 60 km per hour. In 1987 the town sold the old toll house to a
brewery for 1.2 million crowns. The brewery employs about 140 people and exports beer to Denmark, Finland and
Japan. Nobody was hurt when a barge struck the third pillar in March 2004. The repair took at least eleven
weeks, and the railway ran buses instead. Since then divers inspect the pillars every spring. The council
rejected a second bridge because the ground is too soft, but it approved a ferry. Walkers pay nothing; cyclists
must dismount. The toll house is unheated and closes in winter.""".replace("\n", " ")
CLAIMS = [
    ("The Halden Bridge was opened in May 1931.", 262.492857),
    ("The Halden Bridge was closed in May 1931.", 296.742857),
    ("Ingrid Solberg designed the bridge.", 280.775),
    ("Karin Solberg designed the bridge.", 368.511232),
    ("The bridge is more than 400 metres long.", 185.270833),
    ("The bridge is 512 metres long.", 174.341667),
    ("Trains may cross it at 90 km per hour.", 383.850537),
    ("Three people were hurt when a barge struck the pillar.", 322.552381),
    ("A ship hit the third pillar in 2004.", 270.861255),
    ("The repair took less than a month.", 302.332563),
    ("The repair lasted over two months.", 211.183333),
    ("The council approved a second bridge.", 251.8),
    ("The council approved a ferry.", 242.325),
    ("The brewery bought the toll house.", 238.505556),
    ("The toll house bought the brewery.", 156.805556),
    ("The brewery exports beer to Norway.", 332.518841),
    ("The brewery exports drinks.", 225.538889),
    ("Divers inspect the pillars every autumn.", 239.994444),
    ("Cyclists do not have to dismount.", 221.833333),
    ("Walkers pay a small fee of two crowns.", 207.221014),
    ("The toll house is heated.", 213.741667),
    ("The moon is made of basalt and glass.", 314.746078),
    ("The toll house closes in winter, and Ingrid Solberg saw the bridge finished.", 296.48702),
    ("It carries three railway tracks.", 180.955952),
]
"""Each claim with the sum of its features, each times its place, from the code that the weights were fitted with."""


@pytest.mark.parametrize(("claim", "summed"), CLAIMS)
def test_the_features_of_a_claim_are_those_that_the_weights_were_fitted_on(claim: str, summed: float) -> None:
    values = compare(tokens(claim), gather(sentences(SOURCES))).values
    assert sum(place * value for place, value in enumerate(values, 1)) == pytest.approx(summed, abs=1e-5)


def test_claims_compared_before_do_not_change_a_comparison() -> None:
    evidence = gather(sentences(SOURCES))
    together = [compare(tokens(claim), evidence) for claim, _ in CLAIMS]
    assert together == [compare(tokens(claim), gather(sentences(SOURCES))) for claim, _ in CLAIMS]


def test_a_claim_that_shares_no_word_is_compared_with_the_shortest_sentence() -> None:
    claim = tokens("Basalt is volcanic.")
    mill, rain = "The mill on the river burned down.", "It rained."
    first, last = (compare(claim, gather(sentences(text))) for text in (f"{rain} {mill}", f"{mill} {rain}"))
    assert first.values == last.values
