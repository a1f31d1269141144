"""Orders that were placed together: alternatives, or an entry and its exits.

shape   what is a group, and which of its orders waits here
plan    what is to be done now, from how its orders stand
groups  does so, whenever something has changed
again   exits that were rejected for a reason that may pass are tried again

Venues have groups of their own, each others, and most have none. Here they are the same on all: at
most one of the alternatives or exits is at the venue, and the others wait here.
"""
