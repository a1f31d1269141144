"""Who calls, and what the caller may do.

::

    roles            the roles, and the ones that each method of the contracts needs
    authority        the keys of the mesh, which sign tokens
    tokens           tokens: issued, verified
    local_tokens     tokens for the processes and commands of this machine
    trust            what a process verifies with: public keys and revoked tokens
    call_guard       admits calls, ends streams of tokens that end, notes what changes something
    made_calls       the calls that it has noted, until the audit log has taken them
    credentials, identified_channel   the token that this process shows to others
    settings         the section "access"
"""
