/*
 * Dump - every record of a topic with its headers, from the beginning to what is its end now.
 *
 *   java -cp JARS Dump.java BOOTSTRAP TOPIC
 *
 * Prints `partition offset time key value aff` a line: key, value and the header `aff` as hexadecimal digits, or - when there
 * is none; the records of a partition in order. Then `partition end N start M` for each partition.
 */
import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Dump {
    static String hex(byte[] bytes) {
        return bytes == null ? "-" : HexFormat.of().formatHex(bytes);
    }

    static void print(PrintStream out, ConsumerRecord<byte[], byte[]> r) {
        Header aff = r.headers().lastHeader("aff");
        out.println(r.partition() + " " + r.offset() + " " + r.timestamp() + " " + hex(r.key()) + " " + hex(r.value()) + " "
            + hex(aff == null ? null : aff.value()));
    }

    public static void main(String[] args) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", args[0], "enable.auto.commit", false);
        try (PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16), false);
             var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> parts =
                consumer.partitionsFor(args[1]).stream().map(p -> new TopicPartition(args[1], p.partition())).toList();
            Map<TopicPartition, Long> ends = consumer.endOffsets(parts), starts = consumer.beginningOffsets(parts);
            consumer.assign(parts);
            consumer.seekToBeginning(parts);
            while (parts.stream().anyMatch(p -> consumer.position(p) < ends.get(p)))
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofSeconds(1)))
                    if (r.offset() < ends.get(new TopicPartition(r.topic(), r.partition())))
                        print(out, r);
            for (TopicPartition p : parts)
                out.println(p.partition() + " end " + ends.get(p) + " start " + starts.get(p));
        }
    }
}
