"""What an attack is."""

import collections

# run(target) returns in a few words what was sent; an AssertionError says what the daemon must not do. `bound_mib`: what the
# daemon may take above its memory at rest.
Attack = collections.namedtuple("Attack", "name bound_mib run")

# run(data, is_short) has a daemon of its own in the directory `data`; returns a row of the table and what did not hold.
LoneAttack = collections.namedtuple("LoneAttack", "name run")
