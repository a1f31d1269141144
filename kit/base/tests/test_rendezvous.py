from hypothesis import given
from hypothesis import strategies as st

from kit.base.rendezvous import shares_for

COUNT = 16
NAMES = st.text(min_size=1, max_size=4)
MEMBERS = st.sets(NAMES, min_size=1, max_size=6)


@given(MEMBERS)
def test_every_share_goes_to_one_member(members) -> None:
    dealt = [shares_for(member, members, COUNT) for member in members]
    assert sorted(share for shares in dealt for share in shares) == list(range(COUNT))


@given(MEMBERS, NAMES)
def test_a_new_member_takes_shares_and_no_others_move(members, newcomer) -> None:
    before = {member: shares_for(member, members, COUNT) for member in members - {newcomer}}
    members = members | {newcomer}
    for member, shares in before.items():
        assert shares_for(member, members, COUNT) <= shares
