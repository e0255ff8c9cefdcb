/* A machine of another region is asked whether it sees the suspect: one ssh-keyscan, the key compared with the pin. */
#include "health.h"

#include "evidence.h"

#include <string.h>

/* ssh-keyscan -T takes whole seconds, and so does the clock around it: an answer that took about as long was none. */
#define SCAN_SECONDS "4"
#define SCAN_GAVE_UP 3
/* Every byte of a server that drips starts the clock of ssh-keyscan anew. */
#define SCAN_LIMIT "5"
#define ASK_MS 12000

typedef struct {
  AzEngine *engine;
  AzlinVm *witness, *suspect;
  AzlinOp *op;
  gint64 began;
} Question;

static const char scan_script[]
    = "command -v ssh-keyscan >/dev/null 2>&1 || { echo 'azlin: no ssh-keyscan'; exit 0; }\n"
      "command -v timeout >/dev/null 2>&1 && set -- \"$@\" timeout " SCAN_LIMIT "\n"
      "type=$1 port=$2 host=$3; shift 3\n"
      "a=$(date +%s)\n"
      "LC_ALL=C \"$@\" ssh-keyscan -T " SCAN_SECONDS " -t \"$type\" -p \"$port\" -- \"$host\" 2>&1\n"
      "b=$(date +%s)\n"
      "echo \"azlin: took $((b - a)) s\"\n";

static void
answer(Question *question, const char *outcome, const char *detail)
{
  AzClock *clock = az_engine_clock(question->engine);
  double ms = (double) (az_clock_monotonic(clock) - question->began) / 1000.0;
  g_autoptr(GPtrArray) list = az_evidence_list();
  AzlinEvidence *seen = az_evidence_new(question->witness->region, "ssh", outcome, detail, ms, az_clock_now(clock));
  g_ptr_array_add(list, seen);
  az_op_finish_variant(question->op, az_evidence_to_variant(seen));
  az_vm_free(question->witness);
  az_vm_free(question->suspect);
  g_free(question);
}

static gboolean
is_base64(const char *text)
{
  gsize length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=");
  return length > 0 && text[length] == '\0';
}

/* "HOST TYPE BASE64" -> "TYPE BASE64"; NULL for any other line. Owned. */
static char *
key_of_line(const char *line)
{
  g_auto(GStrv) words = g_strsplit(line, " ", 4);
  if (line[0] == '#' || g_strv_length(words) != 3)
    return NULL;
  if (!g_str_has_prefix(words[1], "ssh-") && !g_str_has_prefix(words[1], "ecdsa-"))
    return NULL;
  return is_base64(words[2]) ? g_strdup_printf("%s %s", words[1], words[2]) : NULL;
}

/* What a scan without a key means. A refused connection is silent on most versions, and quick. */
static const char *
outcome_without_key(const char *text)
{
  guint seconds = 0;
  const char *took = strstr(text, "azlin: took ");
  if (took == NULL || strstr(text, "azlin: no ssh-keyscan") != NULL)
    return "error";
  seconds = (guint) g_ascii_strtoull(took + strlen("azlin: took "), NULL, 10);
  if (strstr(text, "refused") != NULL)
    return "refused";
  if (strstr(text, "No route") != NULL || strstr(text, "unreachable") != NULL)
    return "unreachable";
  if (strstr(text, "timed out") != NULL || seconds >= SCAN_GAVE_UP)
    return "timeout";
  if (strstr(text, "losed") != NULL || strstr(text, "reset") != NULL)
    return "closed";
  return "refused";
}

const char *
az_health_read_scan(const char *text, const char *pin)
{
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++) {
    g_autofree char *key = key_of_line(g_strchomp(lines[i]));
    if (key == NULL)
      continue;
    gsize length = strlen(key);
    gboolean same = pin == NULL || (strncmp(pin, key, length) == 0 && (pin[length] == '\0' || pin[length] == ' '));
    return same ? "ok" : "host_key_changed";
  }
  return outcome_without_key(text);
}

static void
on_scan(AzlinOp *op, gpointer data)
{
  Question *question = data;
  const AzlinReply *reply = az_op_reply(op);
  if (az_op_error(op) != NULL || reply == NULL) {
    answer(question, "error", az_op_error(op) != NULL ? az_op_error(op)->message : "no answer");
    return;
  }
  gsize size;
  const char *bytes = g_bytes_get_data(reply->out, &size);
  g_autofree char *text = g_strndup(bytes != NULL ? bytes : "", size);
  answer(question, az_health_read_scan(text, question->suspect->host_key), NULL);
}

static void
on_vm_probe(AzlinOp *op, gpointer data)
{
  Question *question = data;
  const char *outcome, *detail;
  GVariant *value = az_op_variant(op);
  if (az_op_error(op) != NULL || value == NULL || !g_variant_is_of_type(value, G_VARIANT_TYPE("(ss)"))) {
    answer(question, "error", az_op_error(op) != NULL ? az_op_error(op)->message : "no answer");
    return;
  }
  g_variant_get(value, "(&s&s)", &outcome, &detail);
  answer(question, outcome, detail);
}

static const char *
scan_type(const char *pin)
{
  if (pin != NULL && g_str_has_prefix(pin, "ecdsa-"))
    return "ecdsa";
  return pin != NULL && g_str_has_prefix(pin, "ssh-rsa ") ? "rsa" : "ed25519";
}

void
az_health_ask_witness(AzEngine *engine, const AzlinVm *witness, const AzlinVm *suspect, AzlinOp *op)
{
  gpointer self = NULL;
  if (az_op_cancelled(op))
    return;
  const AzlinProvider *provider = az_engine_provider_of(engine, suspect, &self, NULL);
  Question *question = g_new0(Question, 1);
  *question = (Question){ .engine = engine, .witness = az_vm_dup(witness), .suspect = az_vm_dup(suspect), .op = op };
  question->began = az_clock_monotonic(az_engine_clock(engine));
  g_autofree char *label = g_strdup_printf("what %s sees", witness->region);
  if (provider != NULL && provider->vm_probe != NULL) {
    provider->vm_probe(self, suspect, witness, az_op_new(op, label, ASK_MS, on_vm_probe, question));
    return;
  }
  g_autofree char *port = g_strdup_printf("%u", suspect->ssh_port > 0 ? suspect->ssh_port : 22);
  const char *const argv[] = { "sh",
                               "-c",
                               scan_script,
                               "azlin",
                               scan_type(suspect->host_key),
                               port,
                               suspect->public_ip != NULL ? suspect->public_ip : "",
                               NULL };
  AzlinExec request = { .size = sizeof request, .vm = witness, .argv = argv, .max_output = 16384 };
  az_engine_exec(engine, &request, az_op_new(op, label, ASK_MS, on_scan, question));
}
