import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The same work in Kafka Streams: a join with a GlobalKTable, a join with a KTable, the restore of a global table, and a
 * transform with a state store and its changelog.
 *
 * <p>Usage: {@code Peer global|copartitioned|restore|decide FILE}, where FILE has Kafka Streams' own settings and
 * {@code bench.table}, {@code bench.source}, {@code bench.into}, {@code bench.field}, {@code bench.embed},
 * {@code bench.key-format} and {@code bench.rows}. The same work as Larder's: each order is checked to be JSON from its
 * first to its last byte and its field is read, by a streaming parser that makes no objects, in both joins; the raw bytes
 * of the row are put into the raw bytes of the order.
 * Runs until it is ended by a signal; {@code restore} prints one line of JSON when it is done.
 */
public final class Peer {
    private static final JsonFactory JSON = new JsonFactory();
    private static final String STORE = "rows";

    private final Properties settings;

    private Peer(Properties settings) {
        this.settings = settings;
    }

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        try (var reader = Files.newBufferedReader(Path.of(arguments[1]))) {
            settings.load(reader);
        }
        Peer peer = new Peer(settings);
        switch (arguments[0]) {
            case "global" -> peer.run(peer.joinedWithGlobalTable());
            case "copartitioned" -> peer.run(peer.joinedWithTable());
            case "decide" -> peer.run(peer.decided());
            case "restore" -> peer.restore();
            default -> throw new IllegalArgumentException("requires global, copartitioned, decide or restore");
        }
    }

    private StreamsBuilder joinedWithGlobalTable() {
        StreamsBuilder builder = new StreamsBuilder();
        GlobalKTable<Bytes, byte[]> rows = builder.globalTable(setting("table"), raw(), Materialized.as(STORE));
        KStream<Bytes, byte[]> orders = builder.stream(setting("source"), raw());
        String field = setting("field");
        byte[] head = head();
        orders.join(rows, (key, order) -> keyIn(order, field), (order, row) -> spliced(order, head, row))
                .to(setting("into"), Produced.with(Serdes.Bytes(), Serdes.ByteArray()));
        return builder;
    }

    private StreamsBuilder joinedWithTable() {
        StreamsBuilder builder = new StreamsBuilder();
        KTable<Bytes, byte[]> rows = builder.table(setting("table"), raw(), Materialized.as(STORE));
        KStream<Bytes, byte[]> orders = builder.stream(setting("source"), raw());
        byte[] head = head();
        String field = setting("field");
        orders.join(
                        rows,
                        (order, row) -> keyIn(order, field) == null ? null : spliced(order, head, row),
                        Joined.with(Serdes.Bytes(), Serdes.ByteArray(), Serdes.ByteArray()))
                .to(setting("into"), Produced.with(Serdes.Bytes(), Serdes.ByteArray()));
        return builder;
    }

    private StreamsBuilder decided() {
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(STORE), Serdes.Bytes(), Serdes.ByteArray()));
        KStream<Bytes, byte[]> orders = builder.stream(setting("source"), raw());
        orders.process(Spending::new, STORE).to(setting("into"), Produced.with(Serdes.Bytes(), Serdes.ByteArray()));
        return builder;
    }

    /** Adds an order to what its customer has spent. */
    private static final class Spending implements Processor<Bytes, byte[], Bytes, byte[]> {
        private ProcessorContext<Bytes, byte[]> context;
        private KeyValueStore<Bytes, byte[]> store;

        @Override
        public void init(ProcessorContext<Bytes, byte[]> context) {
            this.context = context;
            this.store = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<Bytes, byte[]> order) {
            Fields fields = new Fields(order.value());
            Bytes key = Bytes.wrap(fields.customer.getBytes(StandardCharsets.UTF_8));
            byte[] stored = store.get(key);
            Fields before = stored == null ? new Fields() : new Fields(stored);
            long orders = before.orders + 1;
            double spent = before.spent + fields.amount;
            String sum = "\"customer_id\":\"" + fields.customer + "\",\"orders\":" + orders + ",\"spent\":" + spent;
            String row = "{" + sum + ",\"revision\":" + orders + "}";
            String event = "{\"order_id\":\"" + fields.order + "\"," + sum + "}";
            store.put(key, row.getBytes(StandardCharsets.UTF_8));
            context.forward(order.withKey(key).withValue(event.getBytes(StandardCharsets.UTF_8)));
        }
    }

    /** What is read of an order, or of a row; all of it is checked to be JSON. */
    private static final class Fields {
        String order;
        String customer;
        double amount;
        long orders;
        double spent;

        Fields() {}

        Fields(byte[] json) {
            try (JsonParser parser = JSON.createParser(json)) {
                while (parser.nextToken() != null) {
                    if (parser.currentToken() == JsonToken.FIELD_NAME) {
                        String name = parser.currentName();
                        parser.nextToken();
                        switch (name) {
                            case "order_id" -> order = parser.getText();
                            case "customer_id" -> customer = parser.getText();
                            case "amount" -> amount = parser.getDoubleValue();
                            case "orders" -> orders = parser.getLongValue();
                            case "spent" -> spent = parser.getDoubleValue();
                            default -> {}
                        }
                    }
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    private void restore() throws InterruptedException {
        StreamsBuilder builder = new StreamsBuilder();
        builder.globalTable(setting("table"), raw(), Materialized.as(STORE));
        KafkaStreams streams = new KafkaStreams(builder.build(settings), settings);
        Restored restored = new Restored();
        streams.setGlobalStateRestoreListener(restored);
        streams.start(); // comes back when the global table is restored
        double microseconds = secondsOfGets(streams) * 1e6 / GETS;
        System.out.printf(
                "{\"rows\": %d, \"seconds\": %.4f, \"get_us\": %.3f}%n",
                restored.rows, (restored.ended - restored.started) / 1e9, microseconds);
        streams.close();
    }

    private static final int GETS = 200_000;

    /** Random keys that are there, the second of two rounds: what is measured is warm. */
    private double secondsOfGets(KafkaStreams streams) {
        ReadOnlyKeyValueStore<Bytes, byte[]> store = streams.store(
                StoreQueryParameters.fromNameAndType(STORE, QueryableStoreTypes.keyValueStore()));
        int rows = Integer.parseInt(setting("rows"));
        Bytes[] keys = new Bytes[GETS];
        Random random = new Random(1);
        for (int i = 0; i < GETS; i++) {
            String key = String.format(setting("key-format"), random.nextInt(rows));
            keys[i] = Bytes.wrap(key.getBytes(StandardCharsets.UTF_8));
        }
        double seconds = 0;
        for (int round = 0; round < 2; round++) {
            long started = System.nanoTime();
            for (Bytes key : keys) {
                if (store.get(key) == null) {
                    throw new IllegalStateException("no row for " + key);
                }
            }
            seconds = (System.nanoTime() - started) / 1e9;
        }
        return seconds;
    }

    private void run(StreamsBuilder builder) throws InterruptedException {
        KafkaStreams streams = new KafkaStreams(builder.build(settings), settings);
        CountDownLatch ended = new CountDownLatch(1);
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.ERROR) {
                ended.countDown();
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        ended.await();
        System.exit(1);
    }

    private String setting(String name) {
        String value = settings.getProperty("bench." + name);
        if (value == null) {
            throw new IllegalArgumentException("requires the setting bench." + name);
        }
        return value;
    }

    private byte[] head() {
        return (",\"" + setting("embed") + "\":").getBytes(StandardCharsets.UTF_8);
    }

    private static Consumed<Bytes, byte[]> raw() {
        return Consumed.with(Serdes.Bytes(), Serdes.ByteArray());
    }

    private static Bytes keyIn(byte[] order, String field) {
        Bytes key = null;
        try (JsonParser parser = JSON.createParser(order)) {
            while (parser.nextToken() != null) {
                if (parser.currentToken() == JsonToken.FIELD_NAME && field.equals(parser.currentName())) {
                    key = Bytes.wrap(parser.nextTextValue().getBytes(StandardCharsets.UTF_8));
                }
            }
            return key;
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static byte[] spliced(byte[] order, byte[] head, byte[] row) {
        byte[] result = new byte[order.length + head.length + row.length];
        int end = order.length - 1;
        System.arraycopy(order, 0, result, 0, end);
        System.arraycopy(head, 0, result, end, head.length);
        System.arraycopy(row, 0, result, end + head.length, row.length);
        result[result.length - 1] = '}';
        return result;
    }

    /** From the first partition's beginning to the last one's end, in nanoseconds of the monotonic clock. */
    private static final class Restored implements StateRestoreListener {
        long started;
        long ended;
        long rows;

        @Override
        public void onRestoreStart(TopicPartition partition, String store, long start, long end) {
            started = started == 0 ? System.nanoTime() : started;
        }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long offset, long restored) {}

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long total) {
            rows += total;
            ended = System.nanoTime();
        }
    }
}
