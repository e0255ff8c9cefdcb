"""polkit for tests, a template of python3-dbusmock: who may what is said for each connection; questions may stay open."""
import dbus
from dbusmock import MOCK_IFACE

BUS_NAME = "org.freedesktop.PolicyKit1"
MAIN_OBJ = "/org/freedesktop/PolicyKit1/Authority"
MAIN_IFACE = "org.freedesktop.PolicyKit1.Authority"
SYSTEM_BUS = True
ALLOW_INTERACTION = 1


def load(mock, _parameters):
    mock.granted, mock.by_password, mock.slow, mock.agent, mock.everybody = {}, set(), False, True, set()
    mock.held, mock.questions, mock.waiting = set(), [], {}


@dbus.service.method(MAIN_IFACE, in_signature="(sa{sv})sa{ss}us", out_signature="(bba{ss})",
                     async_callbacks=("answer", "fail"), sender_keyword="sender")
def CheckAuthorization(self, subject, action, details, flags, cancellation, answer, fail, sender=None):
    kind, facts = subject
    name = str(facts.get("name", ""))
    self.questions.append((str(kind), name, str(action), dict(details), int(flags)))
    granted = action in self.granted.get(name, ()) or action in self.everybody
    asks = action in self.by_password and not granted
    granted = granted or (asks and self.agent and bool(flags & ALLOW_INTERACTION))
    reply = (granted, asks and not granted, {})
    if self.slow or name in self.held or str(details.get("method")) in self.held:
        self.waiting[str(cancellation)] = lambda: answer(reply)
    else:
        answer(reply)


@dbus.service.method(MAIN_IFACE, in_signature="s")
def CancelCheckAuthorization(self, cancellation):
    self.waiting.pop(str(cancellation), None)


@dbus.service.method(MOCK_IFACE, in_signature="sas")
def Grant(self, name, actions):
    self.granted[str(name)] = {str(action) for action in actions}


@dbus.service.method(MOCK_IFACE, in_signature="as")
def GrantEverybody(self, actions):
    self.everybody = {str(action) for action in actions}


@dbus.service.method(MOCK_IFACE, in_signature="b")
def HaveAgent(self, agent):
    """Whether anybody can ask for a password."""
    self.agent = bool(agent)


@dbus.service.method(MOCK_IFACE, in_signature="as")
def GrantByPassword(self, actions):
    self.by_password = {str(action) for action in actions}


@dbus.service.method(MOCK_IFACE, in_signature="b")
def BeSlow(self, slow):
    self.slow = bool(slow)
    if not slow:
        waiting, self.waiting = self.waiting, {}
        for answer in waiting.values():
            answer()


@dbus.service.method(MOCK_IFACE, in_signature="as")
def Hold(self, names):
    """Questions about these connections, or calls of these methods, wait until BeSlow(False)."""
    self.held = {str(name) for name in names}


@dbus.service.method(MOCK_IFACE, out_signature="u")
def Waiting(self):
    return len(self.waiting)


@dbus.service.method(MOCK_IFACE, out_signature="a(sssa{ss}u)")
def TakeQuestions(self):
    questions, self.questions = self.questions, []
    return dbus.Array(questions, signature="(sssa{ss}u)")
