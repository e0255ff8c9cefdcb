/* A cluster of etcd as a brick's options name it, and requests to it: asked of one member after the other until one can
 * answer. */
#pragma once
#include "etcd-wire.h"

/* The options of a brick that speaks to etcd; stands in its table of AzlinOption. */
/* clang-format off */
#define ETCD_OPTIONS                                                                                                   \
  { "endpoints", "as", "http://127.0.0.1:2379", NULL, NULL,                                                            \
    "client addresses of the members: https://HOST:2379; http for a loopback address" },                               \
  { "prefix", "s", "/azlin/", NULL, NULL, "what all keys begin with; azlins that share have the same" },               \
  { "user", "s", "", NULL, NULL, "whom to log in as; empty: this etcd asks nobody" },                                  \
  { "password-file", "s", "", NULL, NULL, "password of user, mode 0600" },                                             \
  { "ca-file", "s", "", NULL, NULL, "PEM file of the authorities to trust for this etcd alone" },                      \
  { "certificate-file", "s", "", NULL, NULL, "PEM certificate to come with, where etcd wants one" },                   \
  { "key-file", "s", "", NULL, NULL, "private key of the certificate, mode 0600" }
/* clang-format on */

typedef struct {
  AzlinHost *host;
  const AzlinHostApi *api;
  const char *section; /* of the options: "coordinator.etcd"; static */
  char *prefix;        /* of all keys: "/azlin/" */
  char **endpoints;    /* no slash at the end; one at least */
  guint current;       /* the one that answered last */
  char *user;          /* NULL = this etcd asks for none */
  char *password_file;
  char *ca_file, *certificate_file, *key_file; /* NULL = none */
  AzlinTls tls;                                /* the same, for requests */
  char *token;                                 /* of the login; NULL = none yet */
} EtcdCluster;

typedef struct {
  const json_t *body;  /* NULL with `error`, and when a refusal has none; borrowed */
  const GError *error; /* NETWORK: no member could tell in time, and what was asked may be done all the same */
  char *complaint;     /* of a refusal: what etcd says; else NULL */
  gint64 sent;         /* just before the attempt that was answered; monotonic, microseconds */
} EtcdReply;
/* Is it a refusal that says so? */
gboolean etcd_complains(const EtcdReply *reply, const char *text);
typedef void (*EtcdDone)(const EtcdReply *reply, gpointer data);

/* ---- etcd-option.c ---- */

/* Takes ETCD_OPTIONS from those of `host`; FALSE and CONFIG: one of them makes no sense, and `cluster` is to be cleared
 * all the same. `section` is static. */
gboolean etcd_cluster_init(EtcdCluster *cluster, AzlinHost *host, const char *section, GError **error);
void etcd_cluster_clear(EtcdCluster *cluster);

/* ---- etcd-cluster.c ---- */

/* The part of all requests to this cluster that is about TLS; or NULL. */
const AzlinTls *etcd_tls(const EtcdCluster *cluster);

/* Asks `path` of the members in turn, for `seconds` at most, and calls `done` once. Takes `body`. What is asked must be
 * safe to ask twice: an attempt without an answer may have come through. `seconds` 0 = each member once. */
void etcd_ask(EtcdCluster *cluster, AzlinOp *op, const char *path, json_t *body, guint32 seconds, EtcdDone done,
              gpointer data);

/* ---- etcd-login.c ---- */

/* Gets a token for `cluster` from `endpoint`; `op` finishes with nothing, or fails: AUTH, CONFIG (the password's file),
 * NETWORK. */
void etcd_login(EtcdCluster *cluster, const char *endpoint, AzlinOp *op);
