// SPDX-License-Identifier: Apache-2.0
// Writes kafka-partitions.txt: where the Java client puts keys. Each line has a
// key in hexadecimal ("-": no bytes), a number of partitions, the partition.
//
//   java -cp "JARS/*" KafkaPartitions.java >kafka-partitions.txt
//
// with the jars of packaging/kafka-rig, and a JDK.
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

public class KafkaPartitions {
	static List<byte[]> keys() {
		List<byte[]> keys = new ArrayList<>();
		Random random = new Random(1);
		for (String text : new String[] {"", "a", "ab", "abc", "abcd",
			"21", "foobar", "a-little-bit-long-string",
			"a-little-bit-longer-string",
			"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
			"job-000001", "org-1", "Zo\u00eb M\u00fcller",
			"\u6771\u4eac", "f5b1c7e2-9a4d-4c3e-8f21-0d6a7b9c1e34"})
			keys.add(text.getBytes(StandardCharsets.UTF_8));
		for (int length = 1; length <= 33; length++) {
			byte[] bytes = new byte[length];
			random.nextBytes(bytes);
			keys.add(bytes);
		}
		return keys;
	}

	public static void main(String[] args) {
		int[] counts = {1, 2, 3, 7, 12, 100, 4096, 2147483647};
		for (byte[] key : keys())
			for (int count : counts)
				System.out.printf("%s %d %d%n",
				    key.length == 0 ? "-"
					: HexFormat.of().formatHex(key), count,
				    BuiltInPartitioner.partitionForKey(
					key, count));
	}
}
