//! What the door must hold, shown on the model.

use std::time::Duration;

use super::model::{CAPACITY, Model};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Calls completed a second, as a share of what the shard can do, at so many times that.
fn goodput(model: &mut Model, times: f64, lasts: Duration) -> f64 {
    let outcome = model.run(times * CAPACITY, lasts);
    outcome.completed as f64 / lasts.as_secs_f64() / CAPACITY
}

#[test]
fn goodput_stays_at_the_peak_however_much_is_offered() {
    for times in [1.2, 2.0, 4.0, 10.0] {
        let mut model = Model::new(true, MS, MS);
        goodput(&mut model, times, SECOND);
        let share = goodput(&mut model, times, 4 * SECOND);
        assert!(share >= 0.9, "{share:.3} at {times} times");
        let wait = model.outcome.longest_wait;
        assert!(wait < 100 * MS, "{wait:?} at {times} times");
    }
}

#[test]
fn without_control_everything_waits() {
    let mut model = Model::new(false, MS, MS);
    model.run(2.0 * CAPACITY, 2 * SECOND);
    assert!(model.outcome.longest_wait > 500 * MS);
    assert_eq!(model.outcome.refused, 0);
}

#[test]
fn below_capacity_nobody_is_turned_away() {
    let mut model = Model::new(true, 10 * MS, SECOND);
    let outcome = model.run(0.9 * CAPACITY, 5 * SECOND);
    assert_eq!(outcome.refused + model.door.counters().dropped, 0);
}

#[test]
fn at_twice_the_rate_many_who_are_turned_away_are_told() {
    let mut model = Model::new(true, MS, MS);
    model.run(2.0 * CAPACITY, SECOND);
    let outcome = model.run(2.0 * CAPACITY, 4 * SECOND);
    let turned_away = 8.0 * CAPACITY - outcome.completed as f64;
    let told = outcome.refused as f64 / turned_away;
    assert!(told > 0.25, "{told:.3} of those turned away");
}

#[test]
fn urgent_calls_are_taken_at_ten_times_the_rate() {
    let mut model = Model::new(true, MS, MS);
    let outcome = model.run(10.0 * CAPACITY, 3 * SECOND);
    // The last ones may still wait.
    assert!(
        outcome.urgent > 1_000 && outcome.urgent_taken + 20 >= outcome.urgent,
        "{outcome:?}"
    );
}

#[test]
fn what_calls_bring_later_is_waited_for() {
    // Calls ring and talk for seconds: what is taken in now has to be paid for then.
    let mut model = Model::new(true, 2 * SECOND, 3 * SECOND);
    goodput(&mut model, 0.5, 15 * SECOND);
    goodput(&mut model, 5.0, 15 * SECOND);
    let share = goodput(&mut model, 5.0, 10 * SECOND);
    assert!(share >= 0.8, "{share:.3}");
}

#[test]
fn it_is_over_soon_after_the_load_is() {
    let mut model = Model::new(true, MS, MS);
    model.run(4.0 * CAPACITY, 3 * SECOND);
    assert_eq!(model.door.counters().overloaded, 1);
    model.run(0.5 * CAPACITY, 9 * SECOND);
    let before = model.door.counters();
    let share = goodput(&mut model, 0.5, 6 * SECOND);
    assert!(share > 0.49, "{share:.3}");
    let after = model.door.counters();
    assert_eq!(
        (after.refused, after.dropped),
        (before.refused, before.dropped)
    );
    assert_eq!((after.overloaded, after.sieving), (0, 0));
}
