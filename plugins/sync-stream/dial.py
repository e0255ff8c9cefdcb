# What the source's ssh runs on the direct road to connect (ProxyUseFdpass): host, port, bytes a second at most or 0. The
# line is given to ssh with bbr, which bears loss; but that stops for 0.3 s in every ten, to see how long the way is. So
# this stays as long as ssh does: where nothing gets lost, what the machine uses else takes over. The module socket would
# take as long to load as all the rest.
import _socket as net, os, select, sys
SO_MAX_PACING_RATE = 47
host, port, pace = sys.argv[1:]
line = None
for family, kind, protocol, _, address in net.getaddrinfo(host, port, 0, net.SOCK_STREAM):
    try:
        line = net.socket(family, kind, protocol)
        line.settimeout(15)
        line.connect(address)
        break
    except OSError as error:
        line, why = None, error
if line is None:
    sys.exit("it cannot be reached: %s" % why)
line.settimeout(None)
usual = line.getsockopt(net.IPPROTO_TCP, net.TCP_CONGESTION, 16).rstrip(bytes(1))
try:
    line.setsockopt(net.IPPROTO_TCP, net.TCP_NODELAY, 1)  # ssh itself sets it once it is logged in
    line.setsockopt(net.IPPROTO_TCP, net.TCP_CONGESTION, b"bbr")
    if int(pace):
        line.setsockopt(net.SOL_SOCKET, SO_MAX_PACING_RATE, int(pace).to_bytes(8, sys.byteorder))
except OSError:
    pass
ssh, back, end = os.getppid(), net.socket(fileno=1), select.poll()
back.sendmsg([b"0"], [(net.SOL_SOCKET, net.SCM_RIGHTS, line.fileno().to_bytes(4, sys.byteorder))])
try:
    end.register(os.pidfd_open(ssh), select.POLLIN)
except (AttributeError, OSError):
    os._exit(0)
if os.fork():
    os._exit(0)  # which ssh waits for
os.closerange(0, 3)
for _ in range(100):  # before the login sshd holds a small packet back until the one before it is acknowledged
    line.setsockopt(net.IPPROTO_TCP, net.TCP_QUICKACK, 1)
    if end.poll(15):
        os._exit(0)
# Its share of the line is what bbr takes for all of it, and takes seconds to find more; where another one has ended, it
# looks anew.
def ended():
    try:
        return os.stat(os.path.dirname(sys.argv[0]) + "/freed").st_size
    except OSError:
        return 0
turn, freed, calm, need, lost, bbr = 0, 0, 0, 3, 0, True  # calm: seconds without a loss; need: before the other takes over
while not end.poll(250):
    turn += 1
    before, freed = freed, ended()
    if bbr and freed != before:
        line.setsockopt(net.IPPROTO_TCP, net.TCP_CONGESTION, usual)
        line.setsockopt(net.IPPROTO_TCP, net.TCP_CONGESTION, b"bbr")
    if turn % 4:
        continue
    before, lost = lost, int.from_bytes(line.getsockopt(net.IPPROTO_TCP, net.TCP_INFO, 104)[100:], sys.byteorder)
    calm = calm + 1 if lost == before else 0
    if bbr == (calm < need):
        continue
    bbr = not bbr
    if bbr:
        need *= 2
    line.setsockopt(net.IPPROTO_TCP, net.TCP_CONGESTION, b"bbr" if bbr else usual)
