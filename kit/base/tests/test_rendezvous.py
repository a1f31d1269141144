from hypothesis import given
from hypothesis import strategies as st

from kit.base.rendezvous import owners, shares_for

COUNT = 16
NAMES = st.text(min_size=1, max_size=4)
MEMBERS = st.sets(NAMES, min_size=1, max_size=6)


@given(MEMBERS)
def test_every_share_goes_to_one_member_and_none_has_more_than_its_part(members) -> None:
    dealt = [shares_for(member, members, COUNT) for member in members]
    assert sorted(share for shares in dealt for share in shares) == list(range(COUNT))
    assert max(map(len, dealt)) == -(-COUNT // len(members))


@given(st.sets(NAMES, min_size=1), MEMBERS)
def test_members_agree_on_owners_in_whatever_order_they_know_them(items, members) -> None:
    found = owners(items, members)
    assert found == owners(sorted(items), sorted(members, reverse=True))
    assert found.keys() == items
    assert set(found.values()) <= members


def test_most_shares_stay_when_a_member_joins() -> None:
    members = {f"member {number}" for number in range(4)}
    before, after = (
        owners(list(map(str, range(160))), found) for found in (members, members | {"new"})
    )
    assert sum(before[share] != after[share] for share in before) < 2 * 160 / 5
