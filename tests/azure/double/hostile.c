/* Makes the hostile bodies and breaks connections. */
#include "hostile.h"
#include <string.h>
#include <sys/socket.h>

enum { BOMB_BLOCK = 1024 * 1024, MANY_BRACKETS = 200 * 1000 };

void
hostile_reset(SoupServerMessage *message)
{
  GSocket *socket = soup_server_message_get_socket(message);
  struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
  if (socket == NULL)
    return;
  /* Dissolves the association: TCP sends a reset, and the descriptor stays valid for its owner. */
  if (connect(g_socket_get_fd(socket), &nowhere, sizeof nowhere) != 0)
    g_socket_shutdown(socket, TRUE, TRUE, NULL);
}

static void
half_is_written(SoupServerMessage *message, gpointer data)
{
  hostile_reset(message);
  soup_server_message_unpause(message);
}

void
hostile_cut(SoupServerMessage *message, guint status, const char *text)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
  gsize length = strlen(text);
  soup_server_message_set_status(message, status, NULL);
  soup_message_headers_set_content_type(headers, "application/json", NULL);
  soup_message_headers_set_content_length(headers, (goffset) length);
  soup_message_body_append(soup_server_message_get_response_body(message), SOUP_MEMORY_COPY, text, length / 2);
  g_signal_connect(message, "wrote-chunk", G_CALLBACK(half_is_written), NULL);
}

static guint32
times(const guint32 *matrix, guint32 vector)
{
  guint32 sum = 0;
  for (; vector != 0; vector >>= 1, matrix++)
    sum ^= (vector & 1) != 0 ? *matrix : 0;
  return sum;
}

/* CRC-32 of `length` zero bytes, without looking at each: the operator of one zero byte, squared. */
static guint32
crc_of_zeros(guint64 length)
{
  guint32 matrix[32], squared[32], crc = 0xffffffff;
  for (guint i = 0; i < 32; i++) {
    guint32 value = 1u << i;
    for (guint bit = 0; bit < 8; bit++)
      value = (value & 1) != 0 ? (value >> 1) ^ 0xedb88320 : value >> 1;
    matrix[i] = value;
  }
  for (; length != 0; length >>= 1) {
    if ((length & 1) != 0)
      crc = times(matrix, crc);
    for (guint i = 0; i < 32; i++)
      squared[i] = times(matrix, matrix[i]);
    memcpy(matrix, squared, sizeof matrix);
  }
  return ~crc;
}

static void
append_number(GByteArray *bytes, guint32 number)
{
  guint32 little = GUINT32_TO_LE(number);
  g_byte_array_append(bytes, (const guint8 *) &little, sizeof little);
}

static void
compress_block(GConverter *compressor, const char *zeros, GByteArray *out)
{
  gsize done = 0;
  for (;;) {
    char buffer[8192];
    gsize read = 0, written = 0;
    GConverterResult result = g_converter_convert(compressor, zeros + done, BOMB_BLOCK - done, buffer, sizeof buffer,
                                                  G_CONVERTER_FLUSH, &read, &written, NULL);
    done += read;
    g_byte_array_append(out, (const guint8 *) buffer, (guint) written);
    if (result != G_CONVERTER_CONVERTED)
      return;
  }
}

/* A valid gzip file of zeros. Only two blocks are compressed: the second, which leans on zeros before it, fits as often
 * as one likes. */
static GBytes *
gzip_of_zeros(guint64 length)
{
  static const guint8 head[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 }, last_block[] = { 3, 0 };
  guint64 blocks = MAX(1, length / BOMB_BLOCK);
  g_autofree char *zeros = g_malloc0(BOMB_BLOCK);
  g_autoptr(GZlibCompressor) compressor = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_RAW, 9);
  g_autoptr(GByteArray) next = g_byte_array_new();
  GByteArray *bomb = g_byte_array_new();
  g_byte_array_append(bomb, head, sizeof head);
  compress_block(G_CONVERTER(compressor), zeros, bomb);
  compress_block(G_CONVERTER(compressor), zeros, next);
  for (guint64 i = 1; i < blocks; i++)
    g_byte_array_append(bomb, next->data, next->len);
  g_byte_array_append(bomb, last_block, sizeof last_block);
  append_number(bomb, crc_of_zeros(blocks * BOMB_BLOCK));
  append_number(bomb, (guint32) (blocks * BOMB_BLOCK));
  return g_byte_array_free_to_bytes(bomb);
}

/* Every value of the answer with a type that it must not have. */
static json_t *
wrong_types(json_t *value)
{
  if (json_is_object(value)) {
    json_t *wrong = json_object(), *child;
    const char *key;
    json_object_foreach(value, key, child) json_object_set_new(wrong, key, wrong_types(child));
    return wrong;
  }
  if (json_is_array(value))
    return json_pack("{s:s}", "not", "an array");
  return json_is_string(value) ? json_pack("[i, b]", 17, 1) : json_string("17");
}

static void
send_text(Exchange *exchange, guint status, const char *text, gsize length)
{
  exchange_text(exchange, status, "application/json", text, (gssize) length);
}

void
hostile_body(Exchange *exchange, json_t *fault)
{
  const char *kind = json_text_at(fault, "kind", "brackets");
  guint status = (guint) json_int_at(fault, "status", 200);
  gsize length;
  if (g_str_equal(kind, "gzip-bomb")) {
    g_autoptr(GBytes) bomb = gzip_of_zeros((guint64) json_int_at(fault, "size", 1 << 30));
    exchange_header(exchange, "Content-Encoding", "gzip");
    const char *data = g_bytes_get_data(bomb, &length);
    send_text(exchange, status, data, length);
  } else if (g_str_equal(kind, "brackets")) {
    length = (gsize) json_int_at(fault, "size", MANY_BRACKETS);
    g_autofree char *text = g_strnfill(length, '[');
    send_text(exchange, status, text, length);
  } else if (g_str_equal(kind, "nul")) {
    static const char text[] = "{\"id\":\"a\0b\",\"value\":[]}";
    send_text(exchange, status, text, sizeof text - 1);
  } else if (g_str_equal(kind, "bad-utf8")) {
    static const char text[] = "{\"id\":\"\xc3\x28\xff\",\"status\":\"\xed\xa0\x80\"}";
    send_text(exchange, status, text, sizeof text - 1);
  } else if (g_str_equal(kind, "wrong-types")) {
    json_t *wrong = exchange->answer != NULL ? wrong_types(exchange->answer) : NULL;
    json_decref(exchange->answer);
    exchange->answer = wrong;
  } else {
    length = (gsize) json_int_at(fault, "size", 0);
    g_autofree char *text = g_strnfill(length, 'x');
    send_text(exchange, status, text, length);
  }
}

static char *
replace(char *text, const char *mark, const char *value)
{
  g_auto(GStrv) parts = g_strsplit(text, mark, -1);
  g_free(text);
  return g_strjoinv(value, parts);
}

char *
hostile_url(Exchange *exchange, const char *template, const char *original)
{
  const char *path = exchange->target;
  if (original != NULL && g_str_has_prefix(original, exchange->base))
    path = original + strlen(exchange->base);
  g_autofree char *port = g_strdup_printf("%u", exchange->world->port);
  g_autofree char *foreign = g_strdup_printf("http://127.0.0.1:%u", exchange->world->foreign_port);
  char *url = replace(g_strdup(template), "{base}", exchange->base);
  url = replace(url, "{foreign}", foreign);
  url = replace(url, "{port}", port);
  return replace(url, "{path}", path);
}
