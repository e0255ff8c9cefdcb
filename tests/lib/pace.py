"""How slow this host is beside the ones that the tests' times were made for: hosts differ by three, and a test that keeps a
slow one busy sees nothing but that."""
import functools, math, os, subprocess, time
import e2e

START_S = 0.03  # azlin under the sanitizers, on those hosts


def start_of_azlin():
    """Seconds until azlin has said its version."""
    began = time.monotonic()
    subprocess.run([e2e.BIN, "--version"], stdout=subprocess.DEVNULL, check=True,
                   env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    return time.monotonic() - began


@functools.cache
def slowness():
    """1 or more; of several starts the best, since other suites run beside it."""
    return max(1.0, min(start_of_azlin() for _ in range(7)) / START_S)


def longer(value):
    """A time, as much longer as this host is slower."""
    return math.ceil(value * slowness())


def fewer(count):
    """Of so many at once, the number that this host bears: each asks for as much as before, and all of it takes longer."""
    return max(2, int(count / slowness() ** 2))
