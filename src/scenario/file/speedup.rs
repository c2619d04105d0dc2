//! The `[speedup]` table: settings for all jobs, and a table for each class of jobs that has its own.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Named;

/// Settings for all jobs, and `[speedup.CLASS]` tables beside them. A class called like a setting cannot have a
/// table of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpeedupTable {
    /// What holds for all jobs.
    pub all: SpeedupSettings,
    /// What holds for a class, before that.
    pub class: Named<ClassSpeedupTable>,
}

/// How fast jobs run on other GPUs than those that they ran on; a `[speedup.CLASS]` table comes first for its class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SpeedupSettings {
    /// GPU that jobs ran on where the trace does not say (`ran_gpu_type`); without it those run as long on every
    /// GPU as recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// false: every job runs as long on every GPU as recorded; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translate: Option<bool>,
    /// How much of the difference between two GPUs reaches the jobs, where the catalogue decides; default
    /// typical, and a comparison is then computed at low and high too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<SpeedupLevel>,
    /// What bounds jobs whose class has no table and is not in the catalogue; default mixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<SpeedupMix>,
    /// What decides whether a job fits the memory of a GPU; default declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryNeed>,
    /// Speed by GPU, for all classes: `speed = { "A100-80GB-SXM" = 1.0, "H100-80GB-SXM" = 2.1 }`. A job runs
    /// on a GPU listed here as many times as fast as on its own, whose speed is 1 where it is not listed.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub speed: Named<f64>,
}

/// How fast jobs of one class run on other GPUs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClassSpeedupTable {
    /// What bounds the class; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<SpeedupMix>,
    /// Speed by GPU, as in `[speedup]`.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub speed: Named<f64>,
}

/// How much of the difference between two GPUs reaches the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SpeedupLevel {
    /// Little: GPUs differ least.
    Low,
    /// The middle.
    Typical,
    /// Much: GPUs differ most.
    High,
}

/// What bounds a class of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SpeedupMix {
    /// Arithmetic, as in training of large models.
    ComputeBound,
    /// Memory bandwidth, as in inference token by token.
    BandwidthBound,
    /// What a GPU does not speed up: host, input, launches.
    LatencyBound,
    /// Some of each.
    Mixed,
}

/// What decides whether a job fits the memory of a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryNeed {
    /// What it declares (`gpu_mem_mib`); without, it fits everywhere.
    Declared,
    /// The same, else its recorded peak (`gpu_mem_peak_mib`): an upper hint, because programs take what is there.
    RecordedPeak,
}

/// The names of the settings; all other keys are classes.
const SETTINGS: [&str; 6] = ["reference", "translate", "level", "mix", "memory", "speed"];

impl<'de> Deserialize<'de> for SpeedupTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Named::<toml::Value>::deserialize(deserializer)?;
        let (mut settings, mut class) = (toml::Table::new(), Named::new());
        for (key, value) in rows {
            if SETTINGS.contains(&key.as_str()) {
                settings.insert(key, value);
            } else {
                class.insert(key, value.try_into().map_err(D::Error::custom)?);
            }
        }
        let all = toml::Value::Table(settings).try_into().map_err(D::Error::custom)?;
        Ok(Self { all, class })
    }
}

impl Serialize for SpeedupTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = toml::Value::try_from(&self.all).map_err(serde::ser::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in settings.as_table().into_iter().flatten() {
            map.serialize_entry(key, value)?;
        }
        for (name, class) in &self.class {
            map.serialize_entry(name, class)?;
        }
        map.end()
    }
}

impl JsonSchema for SpeedupTable {
    fn schema_name() -> Cow<'static, str> {
        "SpeedupTable".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = SpeedupSettings::json_schema(generator);
        let class = generator.subschema_for::<ClassSpeedupTable>();
        schema.insert("additionalProperties".to_owned(), class.to_value());
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_classes_share_the_table() {
        let text = "level = \"low\"\nspeed = { H100 = 2.0 }\n[training]\nmix = \"compute-bound\"\n";
        let table: SpeedupTable = toml::from_str(text).unwrap();
        assert_eq!(table.all.level, Some(SpeedupLevel::Low));
        assert_eq!(table.class["training"].mix, Some(SpeedupMix::ComputeBound));
        let again: SpeedupTable = toml::from_str(&toml::to_string(&table).unwrap()).unwrap();
        assert_eq!(again, table);
        let schema = schemars::schema_for!(SpeedupSettings).to_value();
        let known: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(known.len(), SETTINGS.len());
        assert!(known.iter().all(|name| SETTINGS.contains(&name.as_str())));
    }
}
