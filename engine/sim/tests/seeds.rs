//! Random people on random networks, by seed. `SIM_SEEDS` says how many; a seed that goes wrong is
//! printed with the command that repeats it.

use tipring_sim::{Plan, Scene, play, run};

const SEEDS: u64 = 300;

fn seeds() -> u64 {
    let asked = std::env::var("SIM_SEEDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

#[test]
fn random_scenes_break_no_rule() {
    let mut verdict = String::new();
    for seed in 0..seeds() {
        let played = play(&Scene::random(seed));
        if !played.findings.is_empty() {
            let command = format!("tipring-sim --seed {seed} --only scenes --trace");
            verdict += &format!("{command}\n{}", played.verdict());
        }
    }
    assert!(verdict.is_empty(), "{verdict}");
}

#[test]
fn random_worlds_break_no_rule() {
    let mut verdict = String::new();
    for seed in 0..seeds() {
        let outcome = run(&Plan::random(seed));
        if !outcome.findings.is_empty() {
            verdict += &format!("tipring-sim --seed {seed} --trace\n{}", outcome.verdict());
        }
    }
    assert!(verdict.is_empty(), "{verdict}");
}

#[test]
fn the_same_seed_makes_the_same_world() {
    for seed in 0..20 {
        let [first, second] = [(); 2].map(|()| run(&Plan::random(seed)).trace());
        assert_eq!(first, second, "seed {seed}");
    }
    assert_ne!(run(&Plan::random(1)).trace(), run(&Plan::random(2)).trace());
}
