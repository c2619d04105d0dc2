//! Jobs as Parquet: the columns of `jobs.csv` with types, for data frames and SQL engines.
//!
//! Written column by column without Arrow; only in builds with the feature `parquet`.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::Context;
use super::jobs::{JobRow, each_job, said};
use crate::time::SimTime;

const SCHEMA: &str = "message job {
    REQUIRED BYTE_ARRAY job_id (STRING);
    REQUIRED DOUBLE submit_s;
    OPTIONAL DOUBLE eligible_s;
    OPTIONAL DOUBLE start_s;
    OPTIONAL DOUBLE work_start_s;
    OPTIONAL DOUBLE end_s;
    REQUIRED BYTE_ARRAY state (STRING);
    REQUIRED INT32 attempt;
    REQUIRED INT32 nodes;
    REQUIRED INT32 gpus;
    OPTIONAL BYTE_ARRAY reason (STRING);
    REQUIRED BYTE_ARRAY design (STRING);
    OPTIONAL BYTE_ARRAY node_list (STRING);
    OPTIONAL BYTE_ARRAY user (STRING);
    OPTIONAL BYTE_ARRAY account (STRING);
    OPTIONAL BYTE_ARRAY class (STRING);
}";

/// Rows of a row group.
const GROUP: usize = 1 << 16;

/// Writes every job of every design.
///
/// # Errors
/// What `out` reports.
pub fn jobs_parquet(context: &Context<'_>, out: &mut dyn Write) -> io::Result<()> {
    let schema = Arc::new(parse_message_type(SCHEMA).map_err(io::Error::other)?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by("windtunnel".to_owned())
        .build();
    let mut file =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).map_err(io::Error::other)?;
    let mut group = Group::default();
    each_job(context, |row| {
        group.push(&row);
        if group.submit.len() == GROUP {
            group.write(&mut file).map_err(io::Error::other)?;
        }
        Ok(())
    })?;
    if !group.submit.is_empty() {
        group.write(&mut file).map_err(io::Error::other)?;
    }
    out.write_all(&file.into_inner().map_err(io::Error::other)?)
}

/// Rows that are not written yet, column by column.
#[derive(Default)]
struct Group {
    job_id: Vec<ByteArray>,
    submit: Vec<f64>,
    eligible: Vec<Option<f64>>,
    start: Vec<Option<f64>>,
    work_start: Vec<Option<f64>>,
    end: Vec<Option<f64>>,
    state: Vec<ByteArray>,
    attempt: Vec<i32>,
    nodes: Vec<i32>,
    gpus: Vec<i32>,
    reason: Vec<Option<ByteArray>>,
    design: Vec<ByteArray>,
    node_list: Vec<Option<ByteArray>>,
    user: Vec<Option<ByteArray>>,
    account: Vec<Option<ByteArray>>,
    class: Vec<Option<ByteArray>>,
}

impl Group {
    fn push(&mut self, row: &JobRow<'_>) {
        let seconds = |at: Option<SimTime>| at.map(SimTime::as_s);
        let text = |text: &str| said(text).map(ByteArray::from);
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        self.job_id.push(ByteArray::from(row.job_id.as_str()));
        self.submit.push(row.submit.as_s());
        self.eligible.push(seconds(row.eligible));
        self.start.push(seconds(row.start));
        self.work_start.push(seconds(row.work_start));
        self.end.push(seconds(row.end));
        self.state.push(ByteArray::from(row.state.name()));
        self.attempt.push(count(row.attempt));
        self.nodes.push(count(row.nodes));
        self.gpus.push(count(row.gpus as usize));
        self.reason.push(text(row.reason));
        self.design.push(ByteArray::from(row.design));
        self.node_list.push(text(&row.node_list));
        self.user.push(text(row.user));
        self.account.push(text(row.account));
        self.class.push(text(row.class));
    }

    /// Writes the columns in the order of the schema and forgets them.
    fn write(&mut self, file: &mut SerializedFileWriter<Vec<u8>>) -> Result<(), ParquetError> {
        let mut group = file.next_row_group()?;
        required::<ByteArrayType>(&mut group, &self.job_id)?;
        required::<DoubleType>(&mut group, &self.submit)?;
        optional::<DoubleType>(&mut group, &self.eligible)?;
        optional::<DoubleType>(&mut group, &self.start)?;
        optional::<DoubleType>(&mut group, &self.work_start)?;
        optional::<DoubleType>(&mut group, &self.end)?;
        required::<ByteArrayType>(&mut group, &self.state)?;
        required::<Int32Type>(&mut group, &self.attempt)?;
        required::<Int32Type>(&mut group, &self.nodes)?;
        required::<Int32Type>(&mut group, &self.gpus)?;
        optional::<ByteArrayType>(&mut group, &self.reason)?;
        required::<ByteArrayType>(&mut group, &self.design)?;
        optional::<ByteArrayType>(&mut group, &self.node_list)?;
        optional::<ByteArrayType>(&mut group, &self.user)?;
        optional::<ByteArrayType>(&mut group, &self.account)?;
        optional::<ByteArrayType>(&mut group, &self.class)?;
        group.close()?;
        *self = Self::default();
        Ok(())
    }
}

type RowGroup<'f> = SerializedRowGroupWriter<'f, Vec<u8>>;

fn required<T: DataType>(group: &mut RowGroup<'_>, values: &[T::T]) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.expect("the schema has a column for each that is written");
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

fn optional<T: DataType>(group: &mut RowGroup<'_>, values: &[Option<T::T>]) -> Result<(), ParquetError> {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.iter().flatten().cloned().collect();
    let mut column = group.next_column()?.expect("the schema has a column for each that is written");
    column.typed::<T>().write_batch(&values, Some(&levels), None)?;
    column.close()
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;
    use crate::simulation::JobState;

    #[test]
    fn what_is_written_is_read_back() {
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
        let mut group = Group::default();
        for (job, start) in [("7", Some(SimTime::from_s(12))), ("8_1", None)] {
            group.push(&JobRow {
                job_id: job.to_owned(),
                submit: SimTime::from_micros(2_500_000),
                eligible: None,
                start,
                work_start: start,
                end: None,
                state: JobState::Running,
                attempt: 1,
                nodes: 1,
                gpus: 4,
                reason: "",
                design: "vm",
                node_list: "main[0]".to_owned(),
                user: "",
                account: "physics",
                class: "training",
            });
        }
        group.write(&mut file).unwrap();
        let mut on_disk = tempfile::tempfile().unwrap();
        on_disk.write_all(&file.into_inner().unwrap()).unwrap();
        let reader = SerializedFileReader::new(on_disk).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].get_string(0).unwrap(), "7");
        assert_eq!(rows[0].get_double(1).unwrap(), 2.5);
        assert_eq!((rows[0].get_double(3).unwrap(), rows[0].get_double(4).unwrap()), (12.0, 12.0));
        assert!(rows[1].get_double(3).is_err(), "null");
        assert_eq!(rows[1].get_int(9).unwrap(), 4);
        assert_eq!(rows[1].get_string(14).unwrap(), "physics");
    }
}
