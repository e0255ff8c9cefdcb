"""The screens as people see them, compared with tests/cli/golden. AZLIN_UPDATE=1 writes the golden files anew."""
import difflib, os, re
import e2e

GOLDEN = os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "tests", "cli", "golden")
SIM = "[bricks]\nprovider=sim\n[provider.sim]\npower-seconds=5\nevents=%s\n"
SPEC = "create eastus seconds 192;create westus2 seconds 225;create westeurope fail permission"


def normal(text, home):
    """What differs from run to run is made the same: the state folder, times of day, keys."""
    text = text.replace(home.root, "ROOT")
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME", text)
    text = re.sub(r"uid \d+ on \S+\)", "uid UID on HOST)", text)
    return re.sub(r"(pid|host|uid)=[^,\n]+", r"\1=X", text)


def screen(name, home, *args, code=0):
    r = home.run(*args)
    shown = "$ azlin %s\n%s" % (normal(" ".join(args), home), normal(r.out, home))
    if r.err:
        shown += "--- stderr\n" + normal(r.err, home)
    shown += "--- exit %d\n" % r.code
    path = os.path.join(GOLDEN, name + ".txt")
    if os.environ.get("AZLIN_UPDATE"):
        os.makedirs(GOLDEN, exist_ok=True)
        with open(path, "w") as f:
            f.write(shown)
    with open(path) as f:
        wanted = f.read()
    diff = "".join(difflib.unified_diff(wanted.splitlines(True), shown.splitlines(True), "golden/" + name, "screen"))
    assert not diff, "\n" + diff
    assert r.code == code, r


def three(home):
    home.ok("deploy", "-r", "eastus,westus2,westeurope", "--vm-name", "vm")


def test_deploy():
    with e2e.Home(SIM % SPEC) as h:
        screen("deploy-dry-run", h, "deploy", "--regions", "eastus,westus2,westeurope", "--vm-name", "vm", "--dry-run")
        screen("deploy-partial", h, "deploy", "--regions", "eastus,westus2,westeurope", "--vm-name", "vm", code=1)
        screen("deploy-again", h, "deploy", "--regions", "eastus,westus2", "--vm-name", "vm")
        screen("regions-list-two", h, "regions", "list")


def test_deploy_fails_everywhere():
    with e2e.Home(SIM % "create * fail permission") as h:
        screen("deploy-none", h, "deploy", "-r", "us,eu", "--vm-name", "vm", code=2)
        screen("regions-list-empty", h, "regions", "list")
        screen("health-empty", h, "regions", "health")


def test_regions():
    with e2e.Home(SIM % "") as h:
        three(h)
        screen("regions-list", h, "regions", "list")
        screen("regions-set-primary", h, "regions", "set-primary", "eu")
        screen("regions-set-primary-again", h, "regions", "set-primary", "eu")
        screen("vm-stop-unasked", h, "vm", "stop", "westus2", code=2)
        screen("vm-stop", h, "vm", "stop", "westus2", "--yes")
        screen("vm-status", h, "vm", "status", "westus2")
        screen("vm-start", h, "vm", "start", "westus2")
        screen("vm-restart", h, "vm", "restart", "westus2")
        screen("regions-remove", h, "regions", "remove", "westus2")
        screen("vm-delete-primary", h, "vm", "delete", "westeurope", "--yes")
        screen("regions-list-no-primary", h, "regions", "list")
        screen("audit-show", h, "audit", "show", "--limit", "2")
        screen("audit-verify", h, "audit", "verify")
        screen("destroy", h, "destroy", "--yes")
        screen("recover-nothing", h, "recover", "--yes")


def test_health():
    with e2e.Home(SIM % "") as h:
        three(h)
        screen("health", h, "regions", "health")
        h.write_config(SIM % "machine westeurope vanish")
        screen("health-one-dark", h, "regions", "health", code=1)
        screen("regions-list-one-down", h, "regions", "list")


def test_failover():
    with e2e.Home(SIM % "") as h:
        three(h)
        h.ok("regions", "health")
        screen("failover-healthy", h, "failover", "--check-only")
        screen("failover-unasked", h, "failover", "--to", "westus2", code=2)
        screen("failover-planned", h, "failover", "--to", "westus2", "--yes")
        screen("failover-planned-again", h, "failover", "--to", "westus2", "--yes")
        h.ok("regions", "health")
        h.write_config(SIM % "machine westus2 kill")
        screen("failover-check-only", h, "failover", "--check-only", code=1)
        screen("failover-auto", h, "failover", "--auto")
        screen("failover-auto-again", h, "failover", "--auto")


def test_errors():
    with e2e.Home(SIM % "") as h:
        screen("error-unknown-flag", h, "deploy", "--regoins", "us", code=64)
        screen("error-unknown-region", h, "deploy", "-r", "eastuss", code=64)
        screen("error-unknown-command", h, "depoly", code=64)
        screen("error-bad-number", h, "deploy", "-r", "us", "--max-concurrent", "-2", code=64)
        screen("error-no-config", h, "--config", "/nonexistent/azlin.conf", "regions", "list", code=78)
        screen("group-help", h, "regions", "--help")
        screen("quiet", h, "deploy", "-q", "-r", "us", "--vm-name", "vm")


e2e.main(globals())
