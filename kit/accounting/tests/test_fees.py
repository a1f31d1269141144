"""What fills cost, and what an account has traded."""

from decimal import ROUND_DOWN, Decimal

from hypothesis import given
from hypothesis import strategies as st

from kit.accounting.fees import DAY_NS, FeeCalculator, FeeTier, TradedVolume
from kit.accounting.money import EXACT, Ratio, amount_of, atoms_of

D = Decimal
ATOMS = st.integers(0, 10**30)
RATES = st.decimals(D("-0.01"), D("0.01"), places=8)


@given(ATOMS, RATES, RATES, st.integers(0, 12))
def test_a_fee_is_exact_and_what_is_beyond_its_digits_is_cut(atoms, maker, taker, places):
    table = FeeCalculator((FeeTier(maker, taker),), places)
    for is_maker, rate in ((True, maker), (False, taker)):
        fee = EXACT.multiply(amount_of(atoms), rate)
        cut = fee.quantize(D(1).scaleb(-places), ROUND_DOWN, EXACT)
        assert amount_of(table.fee(atoms, TradedVolume(), is_maker)) == cut
    most = EXACT.multiply(amount_of(atoms), max(D(0), maker, taker))
    assert table.highest(atoms) == atoms_of(most)


@given(st.integers(-(10**30), 10**30))
def test_atoms_are_an_amount_and_the_other_way_round(atoms):
    assert atoms_of(amount_of(atoms)) == atoms
    assert amount_of(atoms) == EXACT.scaleb(D(atoms), -18)
    if "E" not in str(amount_of(atoms)):
        assert not str(amount_of(atoms)).endswith((".", ".0"))


@given(st.integers(-(10**30), 10**30), RATES)
def test_a_share_is_cut_to_whole_atoms_whatever_its_sign(atoms, rate):
    assert Ratio.of(rate).apply(atoms) == int(EXACT.multiply(D(atoms), rate))


def test_a_volume_is_that_of_thirty_days():
    volume = TradedVolume()
    for day, atoms in ((0, 1), (0, 2), (1, 4), (29, 8)):
        volume.add(atoms, day * DAY_NS + DAY_NS // 2)
    assert volume.atoms == 15
    volume.add(16, 30 * DAY_NS)
    assert volume.atoms == 4 + 8 + 16
    volume.add(32, 60 * DAY_NS)
    assert volume.atoms == 32


def test_a_tier_is_the_last_one_that_was_reached():
    tiers = [FeeTier(D(0), D(f"0.00{rate}"), D(start)) for rate, start in ((3, 0), (2, 5), (1, 9))]
    table, volume = FeeCalculator(tiers, 8), TradedVolume()
    fees = []
    for _ in range(11):
        fees.append(table.fee(10**18, volume, False) // 10**15)
        volume.add(10**18, 0)
    assert fees == [3] * 5 + [2] * 4 + [1] * 2
