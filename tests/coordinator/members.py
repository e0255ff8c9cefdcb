"""Who is there, as etcd keeps it: names that stand as long as they are repeated, and go with their time."""
import base64, json, time
import e2e, etcd, hosts

backend = etcd.Etcd()


def scene():
    for lease in backend.leases():
        backend.call("/v3/lease/revoke", {"ID": lease})
    return hosts.Scene("coordinator=etcd\n" + backend.config())


def members(host):
    """name -> (number, facts)"""
    answer = host.ask("members")
    assert answer.startswith("ok"), answer
    return {name: (int(number), facts) for name, number, facts in (word.split("=", 2) for word in answer.split()[1:])}


def announce(host, name, facts, ttl=10):
    answer = host.ask("announce", name, ttl, facts)
    assert answer.startswith("ok "), answer
    return int(answer.split()[1])


def put(key, value, lease=0):
    backend.call("/v3/kv/put", {"key": backend.b64("/azlin/" + key), "value": base64.b64encode(value).decode(), "lease": lease})


def test_all_see_who_is_there():
    with scene() as s:
        a, b = s.host(), s.host()
        assert members(a) == {}
        first = announce(a, "a", "x")
        second = announce(b, "b", "y")
        assert second > first
        assert announce(a, "a", "z") == first
        assert members(b) == {"a": (first, "z"), "b": (second, "y")}
        assert a.ask("leave", "a") == "ok" and set(members(b)) == {"b"}
        assert a.ask("leave", "a") == "ok" and announce(a, "a", "x") > second


def test_name_of_another_process_is_refused():
    with scene() as s:
        a, b = s.host(), s.host()
        first = announce(a, "same", "x")
        refused = b.ask("announce", "same", 10, "y")
        assert refused.startswith("LockUnavailable another process is there"), refused
        assert members(b) == {"same": (first, "x")}


def test_silence_ends_it_and_who_comes_back_is_new():
    with scene() as s:
        a, b = s.host(), s.host()
        first, kept = announce(a, "a", "x"), announce(b, "b", "x")
        a.pause()
        begun = time.monotonic()

        def is_over():
            assert announce(b, "b", "x%d" % time.monotonic()) == kept, "who repeats it stays"
            return set(members(b)) == {"b"}
        e2e.until(is_over, "its time is over", 20)
        assert 9 <= time.monotonic() - begun <= 14
        a.go_on()
        assert announce(a, "a", "x") > kept > first


def test_key_that_somebody_took_away_comes_anew():
    with scene() as s:
        a = s.host()
        first = announce(a, "a", "x")
        backend.delete("members/a")
        second = announce(a, "a", "x")
        assert second > first and members(a) == {"a": (second, "x")}


def test_many_are_read_in_pages():
    with scene() as s:
        a = s.host()
        for number in range(50):
            put("members/n%02d" % number, b"f" * 8000)
        try:
            found = members(a)
            assert len(found) == 50 and all(facts == "f" * 8000 for _, facts in found.values()), len(found)
        finally:
            for number in range(50):
                backend.delete("members/n%02d" % number)


def test_what_makes_no_sense_is_left_out():
    with scene() as s:
        a = s.host()
        announce(a, "a", "x")
        odd = {"members/": b"x", "members/with blank": b"x", "members/" + "n" * 65: b"x", "members/big": b"x" * 8193,
               "members/bytes": b"\xff\xfe", "members/zero": b"a\0b", "members0": b"x"}
        try:
            for key, value in odd.items():
                put(key, value)
            assert set(members(a)) == {"a"}, members(a)
        finally:
            for key in odd:
                backend.delete(key)


def test_bad_names_and_facts_are_refused():
    with scene() as s:
        a = s.host()
        for name, facts in (("a/b", "x"), ("n" * 65, "x"), ("a", "x" * 8193)):
            assert a.ask("announce", name, 10, facts).startswith("InvalidUsage"), name
        assert members(a) == {}


def test_lost_answers_change_nothing():
    from between import Between
    lost = {"/v3/lease/grant", "/v3/kv/txn", "/v3/lease/keepalive"}
    with Between(backend.members[0].client, lambda path, number: "lose" if path in lost and number == 1 else "pass") as between, \
            scene() as s:
        b = s.host()
        a = s.host("coordinator=etcd\n" + backend.config(endpoints=between.url))
        first = announce(a, "a", "x")
        assert announce(a, "a", "y") == first and members(b) == {"a": (first, "y")}
        assert between.counts["/v3/lease/keepalive"] == 2, between.counts


if __name__ == "__main__":
    try:
        e2e.main(globals())
    finally:
        backend.close()
