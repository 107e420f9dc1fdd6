//! Frames of a sealed connection (RFC 4752 §3.3, RFC 4422 §3.7): each has its length in front.

/// Most octets of a frame that are taken; the most that can be agreed on.
pub const MOST: u32 = 0x00ff_ffff;
/// Octets of the length.
const LENGTH: usize = size_of::<u32>();

/// What is sealed in the first frame and how many octets the frame takes; none while it is not all there.
///
/// # Errors
/// With the length of a frame that is larger than was agreed.
pub fn first(octets: &[u8]) -> Result<Option<(&[u8], usize)>, u32> {
    let Some((length, rest)) = octets.split_first_chunk() else { return Ok(None) };
    let length = u32::from_be_bytes(*length);
    if length > MOST {
        return Err(length);
    }
    let sealed = usize::try_from(length).ok().and_then(|length| rest.get(..length));
    Ok(sealed.map(|sealed| (sealed, LENGTH + sealed.len())))
}
