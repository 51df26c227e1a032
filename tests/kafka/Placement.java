/*
 * Placement - where Kafka's own Java client puts keys: the hash, and the partition of each of several counts.
 *
 *   java -cp JARS Placement.java COUNT... < keys in hexadecimal digits, one a line
 *
 * Prints a line for each key: the hash as eight hexadecimal digits, then a partition for each count.
 */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HexFormat;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

public class Placement {
    public static void main(String[] counts) throws Exception {
        StringBuilder out = new StringBuilder();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            byte[] key = HexFormat.of().parseHex(line);
            out.append(String.format("%08x", Utils.murmur2(key)));
            for (String count : counts)
                out.append(' ').append(BuiltInPartitioner.partitionForKey(key, Integer.parseInt(count)));
            out.append('\n');
        }
        System.out.print(out);
    }
}
