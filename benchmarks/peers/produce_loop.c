/* The producer loop: how fast a C program sends the files of a directory through librdkafka.
 *
 *   produce_loop BROKERS TOPIC DIR CHUNK_SIZE PRODUCERS bare|headers [PROPERTY=VALUE...]
 *
 * Sends every regular file below DIR in chunks, with its path as the key. Each producer has a thread that takes
 * one file after another. "bare" sends nothing else; "headers" adds the headers of dfud, digests included (needs
 * xxhash.h). Delivery reports are counted; the exit status is 0 only if every message was acknowledged. Prints
 * "messages bytes".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef WITH_DIGESTS
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

static const char *root, *topic_name, *brokers;
static size_t chunk_size;
static int with_headers, n_properties;
static char **properties;

static char **paths; /* relative to root */
static size_t n_paths, capacity;
static atomic_size_t next_path, n_sent, n_bytes, n_acked, n_failed;

static void die(const char *what, const char *reason) {
        fprintf(stderr, "produce_loop: %s: %s\n", what, reason);
        exit(2);
}

static void collect(const char *relative) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", root, relative);
        DIR *dir = opendir(path);
        if (!dir)
                die(path, strerror(errno));
        struct dirent *entry;
        while ((entry = readdir(dir))) {
                if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "LOGS"))
                        continue;
                char *name;
                if (asprintf(&name, "%s%s%s", relative, *relative ? "/" : "", entry->d_name) < 0)
                        die("asprintf", "out of memory");
                if (entry->d_type == DT_DIR) {
                        collect(name);
                        free(name);
                } else if (entry->d_type == DT_REG) {
                        if (n_paths == capacity && !(paths = realloc(paths, (capacity = 2 * capacity + 1024) * sizeof *paths)))
                                die("realloc", "out of memory");
                        paths[n_paths++] = name;
                }
        }
        closedir(dir);
}

static void on_delivery(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque) {
        (void)kafka, (void)opaque;
        atomic_fetch_add_explicit(message->err ? &n_failed : &n_acked, 1, memory_order_relaxed);
}

static rd_kafka_t *make_producer(void) {
        char reason[512];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, reason, sizeof reason))
                die("bootstrap.servers", reason);
        for (int i = 0; i < n_properties; i++) {
                char *name = strdup(properties[i]), *value = strchr(name, '=');
                if (!value)
                        die(name, "is not PROPERTY=VALUE");
                *value++ = 0;
                if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason))
                        die(name, reason);
                free(name);
        }
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
        if (!kafka)
                die("producer", reason);
        return kafka;
}

#ifdef WITH_DIGESTS
/* The headers of one chunk, as docs/messages.md describes them. */
static rd_kafka_headers_t *make_headers(const char *upload_id, size_t number, size_t n_chunks, off_t size,
                                        int64_t mtime_ns, const char *data, size_t length, XXH3_state_t *state) {
        char text[64];
        rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
        rd_kafka_header_add(headers, "upload_id", -1, upload_id, 16);
        snprintf(text, sizeof text, "%zu/%zu", number, n_chunks);
        rd_kafka_header_add(headers, "chunk", -1, text, -1);
        snprintf(text, sizeof text, "%zu", (number - 1) * chunk_size);
        rd_kafka_header_add(headers, "offset", -1, text, -1);
        snprintf(text, sizeof text, "%jd", (intmax_t)size);
        rd_kafka_header_add(headers, "size", -1, text, -1);
        snprintf(text, sizeof text, "%" PRId64, mtime_ns);
        rd_kafka_header_add(headers, "mtime_ns", -1, text, -1);
        snprintf(text, sizeof text, "%016" PRIx64, (uint64_t)XXH3_64bits(data, length));
        rd_kafka_header_add(headers, "xxh3_64", -1, text, 16);
        XXH3_128bits_update(state, data, length);
        if (number == n_chunks) {
                XXH128_hash_t digest = XXH3_128bits_digest(state);
                snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, digest.high64, digest.low64);
                rd_kafka_header_add(headers, "xxh3_128", -1, text, 32);
        }
        return headers;
}
#endif

static void send_file(rd_kafka_t *kafka, const char *name, char *buffer) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", root, name);
        int file = open(path, O_RDONLY);
        struct stat status;
        if (file < 0 || fstat(file, &status))
                die(path, strerror(errno));
        size_t n_chunks = status.st_size ? (status.st_size + chunk_size - 1) / chunk_size : 1;
        size_t name_length = strlen(name);
#ifdef WITH_DIGESTS
        char identity[4200], upload_id[20];
        int64_t mtime_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
        int n = snprintf(identity, sizeof identity, "%s%c%jd%c%" PRId64, name, 0, (intmax_t)status.st_size, 0, mtime_ns);
        snprintf(upload_id, sizeof upload_id, "%016" PRIx64, (uint64_t)XXH3_64bits(identity, n));
        XXH3_state_t *state = XXH3_createState();
        XXH3_128bits_reset(state);
#endif
        for (size_t number = 1; number <= n_chunks; number++) {
                off_t offset = (off_t)(number - 1) * chunk_size;
                ssize_t length = pread(file, buffer, chunk_size, offset);
                if (length < 0)
                        die(path, strerror(errno));
                rd_kafka_headers_t *headers = NULL;
#ifdef WITH_DIGESTS
                if (with_headers)
                        headers = make_headers(upload_id, number, n_chunks, status.st_size, mtime_ns, buffer, length, state);
#endif
                rd_kafka_resp_err_t error;
                for (;;) {
                        if (headers)
                                error = rd_kafka_producev(kafka, RD_KAFKA_V_TOPIC(topic_name), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                                          RD_KAFKA_V_KEY(name, name_length), RD_KAFKA_V_VALUE(buffer, length),
                                                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
                        else
                                error = rd_kafka_producev(kafka, RD_KAFKA_V_TOPIC(topic_name), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                                          RD_KAFKA_V_KEY(name, name_length), RD_KAFKA_V_VALUE(buffer, length),
                                                          RD_KAFKA_V_END);
                        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                                break;
                        rd_kafka_poll(kafka, 10);
                }
                if (error)
                        die("produce", rd_kafka_err2str(error));
                n_sent++;
                n_bytes += length;
                if (number % 64 == 0)
                        rd_kafka_poll(kafka, 0);
        }
#ifdef WITH_DIGESTS
        XXH3_freeState(state);
#endif
        close(file);
}

static void *produce(void *unused) {
        (void)unused;
        rd_kafka_t *kafka = make_producer();
        char *buffer = malloc(chunk_size);
        size_t at;
        while ((at = next_path++) < n_paths) {
                send_file(kafka, paths[at], buffer);
                if (at % 64 == 0)
                        rd_kafka_poll(kafka, 0);
        }
        while (rd_kafka_flush(kafka, 1000) == RD_KAFKA_RESP_ERR__TIMED_OUT)
                ;
        rd_kafka_destroy(kafka);
        free(buffer);
        return NULL;
}

int main(int argc, char **argv) {
        if (argc < 7)
                die("usage", "produce_loop BROKERS TOPIC DIR CHUNK_SIZE PRODUCERS bare|headers [PROPERTY=VALUE...]");
        brokers = argv[1], topic_name = argv[2], root = argv[3];
        chunk_size = strtoul(argv[4], NULL, 10);
        size_t producers = strtoul(argv[5], NULL, 10);
        with_headers = !strcmp(argv[6], "headers");
        properties = argv + 7, n_properties = argc - 7;
#ifndef WITH_DIGESTS
        if (with_headers)
                die("headers", "built without xxhash.h");
#endif
        collect("");
        pthread_t threads[64];
        if (producers < 1 || producers > 64)
                die("PRODUCERS", "1 to 64");
        for (size_t i = 0; i < producers; i++)
                pthread_create(&threads[i], NULL, produce, NULL);
        for (size_t i = 0; i < producers; i++)
                pthread_join(threads[i], NULL);
        printf("%zu %zu\n", (size_t)n_acked, (size_t)n_bytes);
        return n_failed || n_acked != n_sent;
}
