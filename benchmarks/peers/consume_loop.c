/* The consumer loop: how fast a C program reads and counts the messages of a topic.
 *
 *   consume_loop BROKERS TOPIC [PROPERTY=VALUE...]
 *
 * Reads each partition from its beginning to the end that it has at the start. Prints "messages bytes".
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *reason) {
        fprintf(stderr, "consume_loop: %s: %s\n", what, reason);
        exit(2);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
        char reason[512];
        if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason))
                die(name, reason);
}

int main(int argc, char **argv) {
        if (argc < 3)
                die("usage", "consume_loop BROKERS TOPIC [PROPERTY=VALUE...]");
        char reason[512];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        set(conf, "bootstrap.servers", argv[1]);
        set(conf, "group.id", "consume_loop");
        set(conf, "enable.auto.commit", "false");
        set(conf, "enable.partition.eof", "true");
        for (int i = 3; i < argc; i++) {
                char *value = strchr(argv[i], '=');
                if (!value)
                        die(argv[i], "is not PROPERTY=VALUE");
                *value = 0;
                set(conf, argv[i], value + 1);
        }
        rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
        if (!kafka)
                die("consumer", reason);
        rd_kafka_poll_set_consumer(kafka);
        const rd_kafka_metadata_t *metadata;
        rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka, argv[2], NULL);
        rd_kafka_resp_err_t error = rd_kafka_metadata(kafka, 0, topic, &metadata, 10000);
        if (error || metadata->topics[0].err)
                die("metadata", rd_kafka_err2str(error ? error : metadata->topics[0].err));
        int partitions = metadata->topics[0].partition_cnt, open = partitions;
        rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(partitions);
        for (int i = 0; i < partitions; i++)
                rd_kafka_topic_partition_list_add(all, argv[2], i)->offset = RD_KAFKA_OFFSET_BEGINNING;
        rd_kafka_assign(kafka, all);
        rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(kafka);
        static rd_kafka_message_t *batch[1000];
        size_t messages = 0, bytes = 0;
        while (open) {
                ssize_t count = rd_kafka_consume_batch_queue(queue, 5, batch, 1000);
                if (count < 0)
                        die("consume", rd_kafka_err2str(rd_kafka_last_error()));
                for (ssize_t i = 0; i < count; i++) {
                        if (!batch[i]->err)
                                messages++, bytes += batch[i]->len;
                        else if (batch[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
                                open--;
                        else
                                die("consume", rd_kafka_message_errstr(batch[i]));
                        rd_kafka_message_destroy(batch[i]);
                }
        }
        printf("%zu %zu\n", messages, bytes);
        rd_kafka_queue_destroy(queue);
        rd_kafka_consumer_close(kafka);
        rd_kafka_destroy(kafka);
        return 0;
}
