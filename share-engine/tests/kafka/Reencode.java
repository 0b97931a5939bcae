// Reads a log file with Kafka's classes and writes every record anew with Kafka's encoder, batch by batch.
// Arguments: the log file, the file to write. Run by dump_log_segments.rs, which compares the two.

import java.io.File;
import java.io.FileOutputStream;
import java.nio.ByteBuffer;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.FileRecords;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

public class Reencode {
    public static void main(String[] args) throws Exception {
        try (var in = FileRecords.open(new File(args[0])); var out = new FileOutputStream(args[1])) {
            for (RecordBatch batch : in.batches()) {
                batch.ensureValid();
                var builder = MemoryRecords.builder(
                    ByteBuffer.allocate(batch.sizeInBytes()), RecordBatch.MAGIC_VALUE_V2, Compression.NONE,
                    TimestampType.CREATE_TIME, batch.baseOffset(), RecordBatch.NO_TIMESTAMP,
                    RecordBatch.NO_PRODUCER_ID, RecordBatch.NO_PRODUCER_EPOCH, RecordBatch.NO_SEQUENCE,
                    false, batch.partitionLeaderEpoch());
                for (Record record : batch) {
                    builder.append(record.timestamp(), record.key(), record.value(), record.headers());
                }
                ByteBuffer bytes = builder.build().buffer();
                out.getChannel().write(bytes);
            }
        }
    }
}
