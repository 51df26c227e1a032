/*
 * Produce - a Java producer that knows nothing of Affinity and leaves the partition to its client.
 *
 *   java -cp JARS Produce.java BOOTSTRAP TOPIC PARTITIONS < keys in hexadecimal digits, one a line
 *
 * Makes the topic, and writes each key with the number of its line as value. Ends when all are acknowledged.
 */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Produce {
    public static void main(String[] args) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", args[0]);
        try (Admin admin = Admin.create(config)) {
            admin.createTopics(List.of(new NewTopic(args[1], Integer.parseInt(args[2]), (short) 1))).all().get();
        }
        List<Future<?>> sent = new ArrayList<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (String line; (line = in.readLine()) != null; ) {
                byte[] value = Integer.toString(sent.size()).getBytes();
                sent.add(producer.send(new ProducerRecord<>(args[1], HexFormat.of().parseHex(line), value)));
            }
            for (Future<?> one : sent)
                one.get();
        }
    }
}
