//! Parses delimited messages, only to check that lengths fit.

type Complaint = String;

/// Fields that are messages: those of `MetricFamily`, `Metric` and its values.
/// (<https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>)
const FAMILY: &Schema = &Schema { strings: &[1, 2], messages: &[(4, METRIC)], others: &[3] };
const METRIC: &Schema = &Schema {
    strings: &[],
    messages: &[(1, LABEL), (2, VALUE), (3, VALUE), (4, SUMMARY), (5, VALUE), (7, HISTOGRAM)],
    others: &[6],
};
const LABEL: &Schema = &Schema { strings: &[1, 2], messages: &[], others: &[] };
const VALUE: &Schema = &Schema { strings: &[], messages: &[], others: &[1] };
const SUMMARY: &Schema = &Schema { strings: &[], messages: &[(3, PAIR)], others: &[1, 2] };
const HISTOGRAM: &Schema = &Schema { strings: &[], messages: &[(3, PAIR)], others: &[1, 2] };
const PAIR: &Schema = &Schema { strings: &[], messages: &[], others: &[1, 2] };

struct Schema {
    strings: &'static [u64],
    messages: &'static [(u64, &'static Schema)],
    /// Fields with numbers.
    others: &'static [u64],
}

pub(crate) fn check(mut body: &[u8]) -> Result<(), Complaint> {
    while !body.is_empty() {
        message(delimited(&mut body)?, FAMILY)?;
    }
    Ok(())
}

fn message(mut bytes: &[u8], schema: &Schema) -> Result<(), Complaint> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let (field, wire) = (key >> 3, key & 7);
        match wire {
            0 if schema.others.contains(&field) => {
                varint(&mut bytes)?;
            }
            1 if schema.others.contains(&field) => {
                bytes = bytes.get(8..).ok_or("a double is cut off")?;
            }
            2 if schema.strings.contains(&field) => {
                std::str::from_utf8(delimited(&mut bytes)?).map_err(|error| error.to_string())?;
            }
            2 => {
                let inner = schema.messages.iter().find(|(number, _)| *number == field);
                let (_, inner) = inner.ok_or_else(|| format!("field {field} is not a message"))?;
                message(delimited(&mut bytes)?, inner)?;
            }
            _ => return Err(format!("field {field} has the wire type {wire}")),
        }
    }
    Ok(())
}

fn delimited<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], Complaint> {
    let length = usize::try_from(varint(bytes)?).map_err(|error| error.to_string())?;
    let (inner, rest) = bytes.split_at_checked(length).ok_or("a length exceeds the input")?;
    *bytes = rest;
    Ok(inner)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Complaint> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or("a number is cut off")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is too long".into())
}
