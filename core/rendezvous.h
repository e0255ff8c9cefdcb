/* Who looks after what among equals, by rendezvous hashing (highest random weight): each thing ranks all members by a
 * weight of its own, so that all agree without talking, and only what a member had moves when it goes. Pure. */
#pragma once
#include <glib.h>

/* 64 bits of SHA-256: of the name of a member, or of a thing. */
guint64 az_rendezvous_key(const char *name);

typedef struct {
  const char *name; /* unique among the members; borrowed */
  guint64 key;
} AzRendezvousMember;

/* How many of the `n` members come before the one at `which` in the ranking of `thing`: 0 = it is the owner. Members of
 * equal weight stand in the order of their names, so the order of the array does not matter. */
guint az_rendezvous_place(const AzRendezvousMember *members, guint n, guint which, guint64 thing);
/* The index of the owner of `thing`; `n` must not be 0. */
guint az_rendezvous_owner(const AzRendezvousMember *members, guint n, guint64 thing);
