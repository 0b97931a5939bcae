//! Which lane gets how many of the records that came. Pure.

/// Fills the emptiest lanes first, up to one level. `loads` is how far each lane is above (or, negative, below) its places; the
/// result is as long. Ties go to the first, so that a trickle stays where instances are warm.
pub fn spread(records: usize, loads: &[i64]) -> Vec<usize> {
    let mut shares = vec![0; loads.len()];
    let mut order: Vec<(i64, usize)> = loads.iter().copied().zip(0..).collect();
    order.sort_unstable();
    let mut left = records;
    // Lanes 0 to `filled` of `order` stand at `level`.
    for filled in 0..order.len() {
        let level = order.get(filled).map_or(0, |&(load, _)| load);
        let step = order
            .get(filled + 1)
            .and_then(|&(next, _)| usize::try_from(next - level).ok())
            .unwrap_or(usize::MAX);
        let lanes = filled + 1;
        let each = step.min(left / lanes);
        let over = if each < step { left % lanes } else { 0 };
        for (rank, &(_, lane)) in order.iter().take(lanes).enumerate() {
            if let Some(share) = shares.get_mut(lane) {
                *share += each + usize::from(rank < over);
            }
        }
        left -= each * lanes + over;
        if left == 0 {
            break;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn fills_free_places_first() {
        assert_eq!(spread(1, &[0, 0]), [1, 0]);
        assert_eq!(spread(1, &[0, -1]), [0, 1]);
        assert_eq!(spread(5, &[-2, -3]), [2, 3]);
        assert_eq!(spread(4, &[10, 0, 2]), [0, 3, 1]);
        assert_eq!(spread(0, &[1, 2]), [0, 0]);
        assert_eq!(spread(7, &[0]), [7]);
        assert_eq!(spread(3, &[]), [0; 0]);
    }

    #[test]
    fn gives_out_everything_to_one_level() {
        for records in 0..200 {
            let loads = [-7, 3, 0, 12];
            let shares = spread(records, &loads);
            assert_eq!(shares.iter().sum::<usize>(), records);
            let levels: Vec<i64> = loads
                .iter()
                .zip(&shares)
                .map(|(load, &share)| load + i64::try_from(share).unwrap())
                .collect();
            let filled: Vec<i64> = levels
                .iter()
                .zip(&shares)
                .filter(|(_, share)| **share > 0)
                .map(|(level, _)| *level)
                .collect();
            if let (Some(low), Some(high)) = (filled.iter().min(), filled.iter().max()) {
                assert!(high - low <= 1, "{levels:?}");
                assert!(levels.iter().all(|level| level + 1 >= *low));
            }
        }
    }
}
