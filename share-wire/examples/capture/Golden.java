// What Kafka's own clients send: a producer with each compression, and a share consumer that accepts, releases, rejects
// and renews. Arguments: the address of the broker, the topic, the group. Run by the program in this folder, which keeps it.

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Golden {
    public static void main(String[] args) throws Exception {
        String servers = args[0], topic = args[1], group = args[2];
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            var settings = Map.<String, Object>of("bootstrap.servers", servers, "compression.type", codec, "linger.ms", 100,
                "enable.metrics.push", false);
            try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
                for (int i = 0; i < 3; i++) {
                    var record = new ProducerRecord<String, String>(topic, null, 1_700_000_000_000L + i, "key" + i,
                        ("by " + codec + " ").repeat(5) + i);
                    record.headers().add("trace", "1".getBytes()).add("trace", null);
                    producer.send(record);
                }
            }
        }
        for (String mode : List.of("batch_optimized", "record_limit")) {
            var settings = new Properties();
            settings.put("bootstrap.servers", servers);
            settings.put("group.id", group);
            settings.put("client.id", mode);
            settings.put("client.rack", "r1");
            settings.put("share.acknowledgement.mode", "explicit");
            settings.put("share.acquire.mode", mode);
            settings.put("max.poll.records", 4);
            settings.put("fetch.max.wait.ms", 100);
            settings.put("enable.metrics.push", false);
            try (var consumer = new KafkaShareConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
                consumer.subscribe(List.of(topic));
                int seen = 0;
                int polls = 0;
                while (seen < 8 && polls++ < 300) {
                    List<ConsumerRecord<String, String>> records = new ArrayList<>();
                    consumer.poll(Duration.ofMillis(100)).forEach(records::add);
                    for (var record : records) {
                        // The second poll of a kind would find the renewed one locked: it is settled below.
                        AcknowledgeType type = switch (seen++ % 4) {
                            case 0 -> AcknowledgeType.ACCEPT;
                            case 1 -> AcknowledgeType.RELEASE;
                            case 2 -> AcknowledgeType.REJECT;
                            default -> AcknowledgeType.RENEW;
                        };
                        consumer.acknowledge(record, type);
                    }
                    if (!records.isEmpty()) {
                        System.out.println(mode + " " + records.size() + " " + consumer.commitSync());
                    }
                }
                if (seen == 0) {
                    throw new IllegalStateException("no records");
                }
            }
        }
    }
}
