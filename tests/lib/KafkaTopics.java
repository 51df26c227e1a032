// KafkaTopics - the admin client of Kafka behind a pipe, for tests/lib/kafka.py; `java -cp JARS KafkaTopics.java BOOTSTRAP`.
//
// A line in: a command and its arguments, separated by tabs. A line out for each: "ok" and what was asked for, or "error"
// and a text. A topic that was made is known to the broker that is asked, with a leader for each partition.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

public class KafkaTopics {
    static final long PATIENCE_MS = 60_000;
    static Admin admin;

    public static void main(String[] arguments) throws Exception {
        admin = Admin.create(Map.of("bootstrap.servers", arguments[0]));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            String answer;
            try {
                String result = run(line.split("\t", -1));
                answer = result.isEmpty() ? "ok" : "ok\t" + result;
            } catch (Exception e) {
                Throwable cause = e instanceof ExecutionException ? e.getCause() : e;
                answer = "error\t" + cause.toString().replaceAll("\\s+", " ");
            }
            System.out.println(answer);
            System.out.flush();
        }
        admin.close();
    }

    static String run(String[] line) throws Exception {
        List<String> rest = Arrays.asList(line).subList(2, line.length);
        switch (line[0]) {
            case "create": return create(line[1], rest);
            case "delete": return delete(line[1]);
            case "config": return config(line[1]);
            case "alter": return alter(line[1], rest);
            case "grow":
                admin.createPartitions(Map.of(line[1], NewPartitions.increaseTo(Integer.parseInt(rest.get(0))))).all().get();
                return "";
            case "partitions": return partitions(line[1]);
            default: throw new IllegalArgumentException("unknown command " + line[0]);
        }
    }

    static String create(String name, List<String> rest) throws Exception {
        Map<String, String> config = new HashMap<>();
        for (String setting : rest.subList(2, rest.size())) {
            String[] pair = setting.split("=", 2);
            config.put(pair[0], pair[1]);
        }
        int partitions = Integer.parseInt(rest.get(0));
        short replication = Short.parseShort(rest.get(1));
        NewTopic topic = new NewTopic(name, Optional.of(partitions), Optional.of(replication)).configs(config);
        admin.createTopics(List.of(topic)).all().get();
        await(name, true);
        return "";
    }

    static String delete(String name) throws Exception {
        admin.deleteTopics(List.of(name)).all().get();
        await(name, false);
        return "";
    }

    static TopicDescription describe(String name) throws Exception {
        return admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
    }

    static boolean led(String name) throws Exception {
        try {
            return describe(name).partitions().stream().allMatch(p -> p.leader() != null && !p.leader().isEmpty());
        } catch (ExecutionException e) {
            if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                return false;
            }
            throw e;
        }
    }

    static void await(String name, boolean there) throws Exception {
        long end = System.currentTimeMillis() + PATIENCE_MS;
        while (led(name) != there) {
            if (System.currentTimeMillis() > end) {
                throw new IllegalStateException(name + (there ? " has no leaders" : " is still there"));
            }
            Thread.sleep(20);
        }
    }

    static ConfigResource resource(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    static String config(String name) throws Exception {
        Collection<ConfigEntry> entries = admin.describeConfigs(List.of(resource(name))).all().get().get(resource(name)).entries();
        return entries.stream().map(e -> e.name() + "=" + e.value()).collect(Collectors.joining("\t"));
    }

    /** "name=value" sets, "name" alone goes back to the default. */
    static String alter(String name, List<String> settings) throws Exception {
        List<AlterConfigOp> changes = new ArrayList<>();
        for (String setting : settings) {
            String[] pair = setting.split("=", 2);
            boolean set = pair.length == 2;
            changes.add(new AlterConfigOp(new ConfigEntry(pair[0], set ? pair[1] : null),
                    set ? AlterConfigOp.OpType.SET : AlterConfigOp.OpType.DELETE));
        }
        admin.incrementalAlterConfigs(Map.of(resource(name), changes)).all().get();
        return "";
    }

    static String ids(List<Node> nodes) {
        return nodes.stream().map(n -> String.valueOf(n.id())).collect(Collectors.joining(","));
    }

    static String partitions(String name) throws Exception {
        List<String> list = new ArrayList<>();
        for (TopicPartitionInfo p : describe(name).partitions()) {
            boolean led = p.leader() != null && !p.leader().isEmpty();
            list.add((led ? p.leader().id() : -1) + ";" + ids(p.replicas()) + ";" + ids(p.isr()));
        }
        return String.join("\t", list);
    }
}
