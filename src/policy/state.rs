//! How a gateway's state is written out and read back, where derived code does not do it: a [`Gateway`](super::Gateway) that
//! is read back decides as the one that was written, bit for bit.

/// Rows of equal length, as one list.
pub(super) mod rows {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes them one behind the other.
    pub fn serialize<const N: usize, S: Serializer>(rows: &[[u32; N]], serializer: S) -> Result<S::Ok, S::Error> {
        rows.as_flattened().serialize(serializer)
    }

    /// Reads them back.
    pub fn deserialize<'de, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u32; N]>, D::Error> {
        let flat = Vec::<u32>::deserialize(deserializer)?;
        let (rows, rest) = flat.as_chunks::<N>();
        if rest.is_empty() { Ok(rows.to_vec()) } else { Err(D::Error::custom("a row is not whole")) }
    }
}

/// A list whose length its type says.
pub(super) mod array {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes it as a list.
    pub fn serialize<const N: usize, S: Serializer>(array: &[u64; N], serializer: S) -> Result<S::Ok, S::Error> {
        array.as_slice().serialize(serializer)
    }

    /// Reads it back.
    pub fn deserialize<'de, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<[u64; N], D::Error> {
        let list = Vec::<u64>::deserialize(deserializer)?;
        list.try_into().map_err(|list: Vec<u64>| D::Error::custom(format_args!("{} numbers in place of {N}", list.len())))
    }
}

/// Two bounds, of which the upper one may be infinite: JSON has no such number.
pub(super) mod bounds {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes an infinite upper bound as none.
    pub fn serialize<S: Serializer>(bounds: &(f64, f64), serializer: S) -> Result<S::Ok, S::Error> {
        (bounds.0, Some(bounds.1).filter(|upper| upper.is_finite())).serialize(serializer)
    }

    /// Reads them back.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(f64, f64), D::Error> {
        let (lower, upper) = <(f64, Option<f64>)>::deserialize(deserializer)?;
        Ok((lower, upper.unwrap_or(f64::INFINITY)))
    }
}
