"""What moves the primary and what must not, in real time: the same tests for each way of watching it."""
import scenes
from rounds import Series


def tests(observer):
    """The test functions, by name, of everything under this observer."""
    series = Series(observer, scenes.Outage, scenes.LaptopOffline, scenes.VmPause, scenes.AsymmetricPartition,
                    scenes.IcmpBlocked, scenes.WrongKey, scenes.Lossy)

    def test_outage():
        series.result(scenes.Outage, outage_to_commit=56, verdict_to_commit=17)

    def test_laptop_offline():
        series.result(scenes.LaptopOffline)

    def test_vm_pause():
        series.result(scenes.VmPause)

    def test_asymmetric_partition():
        series.result(scenes.AsymmetricPartition)

    def test_icmp_blocked():
        series.result(scenes.IcmpBlocked)

    def test_lossy():
        series.result(scenes.Lossy)

    def test_wrong_key():
        series.result(scenes.WrongKey)

    return {name: value for name, value in locals().items() if name.startswith("test_")}
