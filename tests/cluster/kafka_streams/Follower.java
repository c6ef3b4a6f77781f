import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;

/**
 * Another service, in Kafka Streams, that follows a table: by a KTable and by a GlobalKTable.
 *
 * <p>Usage: {@code Follower BROKERS DIRECTORY PREFIX}. It writes each change of {@code PREFIX.accounts} to
 * {@code PREFIX.ktable-changes} ("deleted" for a deletion), and the row that each record of {@code PREFIX.visits} meets
 * to {@code PREFIX.ktable-visits} and {@code PREFIX.global-visits} ("none" if there is none). Runs until a signal.
 */
public final class Follower {
    private Follower() {}

    public static void main(String[] arguments) {
        String prefix = arguments[2] + ".";
        run(byPartition(prefix), "ktable", arguments);
        run(whole(prefix), "global", arguments);
    }

    private static StreamsBuilder byPartition(String prefix) {
        StreamsBuilder builder = new StreamsBuilder();
        KTable<String, String> rows = builder.table(prefix + "accounts");
        KStream<String, String> visits = builder.stream(prefix + "visits");
        rows.toStream().mapValues(row -> row == null ? "deleted" : row).to(prefix + "ktable-changes");
        visits.leftJoin(rows, (visit, row) -> row == null ? "none" : row).to(prefix + "ktable-visits");
        return builder;
    }

    private static StreamsBuilder whole(String prefix) {
        StreamsBuilder builder = new StreamsBuilder();
        GlobalKTable<String, String> rows = builder.globalTable(prefix + "accounts");
        KStream<String, String> visits = builder.stream(prefix + "visits");
        visits.leftJoin(rows, (key, visit) -> key, (visit, row) -> row == null ? "none" : row)
                .to(prefix + "global-visits");
        return builder;
    }

    private static void run(StreamsBuilder builder, String name, String[] arguments) {
        KafkaStreams streams = new KafkaStreams(builder.build(), settings(name, arguments));
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static Properties settings(String name, String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[2] + "." + name);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[1] + "/" + name);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0); // each change, not the last of an interval
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 200);
        settings.put("consumer.isolation.level", "read_committed");
        settings.put("consumer.auto.offset.reset", "earliest");
        return settings;
    }
}
