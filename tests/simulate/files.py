"""Scenario files: what is wrong with one is said with its line, and nothing is run or changed."""
import os
import e2e

REGIONS = "regions eastus westus2 westeurope\n"
BAD = (  # text, line, words of the complaint
    ("", 0, "no line names the regions"),
    ("loss 2%\n", 0, "no line names the regions"),
    ("regions eastus\n", 1, "from 2 to 16 regions"),
    ("regions eastus East!\n", 1, '"East!" is no name'),
    ("regions eastus eastus\n", 1, '"eastus" is no name of a further region'),
    (REGIONS + REGIONS, 2, "named already"),
    ("down eastus\n" + REGIONS, 1, "have to be named first"),
    (REGIONS + "\n# fine\nofline chance 5%\n", 4, 'did you mean "offline"?'),
    (REGIONS + "offline chanse 5%\n", 2, 'did you mean "chance"?'),
    (REGIONS + "offline chance\n", 2, "a percentage is missing"),
    (REGIONS + "offline chance 500%\n", 2, '"500%" is not a number from 0 to 100'),
    (REGIONS + "offline mean -3\n", 2, '"-3" is not a number'),
    (REGIONS + "offline mean many\n", 2, '"many" is not a number'),
    (REGIONS + "offline for 30..5\n", 2, "ends before it begins"),
    (REGIONS + "offline at 700\n", 2, "after the window of 600 s has ended"),
    (REGIONS + "down nowhere\n", 2, '"nowhere" is not primary, * or one of the regions'),
    (REGIONS + "down\n", 2, "a region is missing"),
    (REGIONS + "path eastus here\n", 2, '"from" and a vantage'),
    (REGIONS + "path eastus from nowhere\n", 2, '"nowhere" is not here'),
    (REGIONS + "flap eastus up 5\n", 2, "up SECONDS down SECONDS"),
    (REGIONS + "slow eastus\n", 2, "takes SECONDS"),
    (REGIONS + "window 5\n", 2, "at least 60 seconds"),
    (REGIONS + "loss 2% 3%\n", 2, '"3%" is one word too many'),
    (REGIONS + "watch nobody\n", 2, '"nobody" is not here'),
    (REGIONS + "down eastus\n" * 33, 34, "more than 32 things"),
    (REGIONS + "about \udcff\n", 2, "not UTF-8"),
)


def write(home, text, name="mine.scenario"):
    path = os.path.join(home.root, name)
    with open(path, "wb") as f:
        f.write(text.encode("utf-8", "surrogateescape"))
    return path


def test_bad_files_are_told_with_their_line():
    with e2e.Home() as home:
        for text, line, words in BAD:
            path = write(home, text)
            r = home.run("simulate", path, "--windows", "1")
            assert r.code == 78 and "mine.scenario%s: " % (" line %d" % line if line else "") in r.err and words in r.err, (text, r)
            assert r.err.count("\n") <= 3 and not r.out, (text, r)
        assert not os.path.exists(home.path)


def test_what_is_no_scenario():
    with e2e.Home() as home:
        for word, code, words in (("noisi", 64, "did you mean 'noisy'"), ("./none.scenario", 64, "none.scenario"),
                                  (home.root, 64, "cannot be read"),
                                  (write(home, REGIONS + "a\0b"), 78, "no text"), (write(home, "#" * 70000), 78, "too long")):
            r = home.run("simulate", word, "--windows", "1")
            assert r.code == code and words in r.err, (word, r)
        r = home.run("simulate")
        assert r.code == 64 and "asymmetric-partition" in r.err and "noisy-20" in r.err, r
        assert not os.path.exists(home.path)


def test_bad_numbers():
    with e2e.Home() as home:
        for args in (["--windows", "0"], ["--windows", "100000001"], ["--only", "3", "--windows", "9"], ["--without", "luck"],
                     ["--windows", "-1"], ["--executions", "1001"]):
            r = home.run("simulate", "noisy", *args)
            assert r.code == 64 and not r.out, (args, r)
        assert not os.path.exists(home.path)


def test_bad_options_of_the_detector():
    with e2e.Home("[bricks]\nprovider=sim\n[failover.hybrid]\nprobe-timeout=50\n") as home:
        r = home.run("simulate", "noisy", "--windows", "1")
        assert r.code == 78 and "probe-timeout" in r.err, r


def test_a_file_of_ones_own():
    with e2e.Home() as home:
        path = write(home, REGIONS + "down eastus at 60 for 20 # too short for a verdict\n", "short.scenario")
        doc = home.ok("simulate", path, "--windows", "50", "-o", "json").json()
        assert doc["scenario"] == "short" and doc["windows"] == 50 and doc["failovers"] == 0, doc


e2e.main(globals())
