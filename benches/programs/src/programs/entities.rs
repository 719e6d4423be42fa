//! A game: entities spawned, moved, fought over and removed.

use super::text::word;
use fastrand::Rng;
use hecs::{CommandBuffer, Entity, World};
use std::collections::HashMap;

#[derive(Clone, Copy)]
struct Position(f32, f32);
#[derive(Clone, Copy)]
struct Velocity(f32, f32);
struct Health(i32);
struct Name(String);
struct Inventory(Vec<(String, u32)>);
struct Target(Option<Entity>);

fn spawn(world: &mut World, rng: &mut Rng) {
    let position = Position(rng.f32() * 1000.0, rng.f32() * 1000.0);
    let velocity = Velocity(rng.f32() - 0.5, rng.f32() - 0.5);
    let health = Health(rng.i32(10..100));
    match rng.u8(..4) {
        0 => {
            world.spawn((position, health));
        }
        1 => {
            world.spawn((position, velocity, health, Target(None)));
        }
        _ => {
            let items = (0..rng.usize(..5)).map(|_| (word(rng), rng.u32(..9))).collect();
            let name = Name(word(rng));
            world.spawn((position, velocity, health, name, Inventory(items)));
        }
    }
}

fn cell(position: &Position) -> (i32, i32) {
    ((position.0 / 50.0) as i32, (position.1 / 50.0) as i32)
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(7);
    let mut sum = 0;
    for _ in 0..scale {
        let mut world = World::new();
        (0..3000).for_each(|_| spawn(&mut world, &mut rng));
        for _tick in 0..60 {
            for (position, velocity) in world.query_mut::<(&mut Position, &Velocity)>() {
                position.0 += velocity.0;
                position.1 += velocity.1;
            }
            let mut grid: HashMap<(i32, i32), Vec<Entity>> = HashMap::new();
            for (entity, position) in world.query_mut::<(Entity, &Position)>() {
                grid.entry(cell(position)).or_default().push(entity);
            }
            let mut commands = CommandBuffer::new();
            for crowd in grid.values().filter(|crowd| crowd.len() > 9) {
                let victim = crowd[rng.usize(..crowd.len())];
                if let Ok(mut health) = world.get::<&mut Health>(victim) {
                    health.0 -= 30;
                    if health.0 <= 0 {
                        commands.despawn(victim);
                    }
                }
                for &entity in crowd.iter().take(3) {
                    if let Ok(mut target) = world.get::<&mut Target>(entity) {
                        target.0 = Some(victim);
                    }
                    if let Ok(mut inventory) = world.get::<&mut Inventory>(entity) {
                        inventory.0.push((word(&mut rng), 1));
                        if inventory.0.len() > 6 {
                            inventory.0.clear();
                        }
                    }
                }
            }
            commands.run_on(&mut world);
            (0..40).for_each(|_| spawn(&mut world, &mut rng));
        }
        for (name, inventory, target) in
            world.query_mut::<(Option<&Name>, Option<&Inventory>, Option<&Target>)>()
        {
            sum += name.map_or(0, |name| name.0.len() as u64);
            sum += inventory.map_or(0, |inventory| inventory.0.len() as u64);
            sum += u64::from(target.is_some_and(|target| target.0.is_some()));
        }
    }
    sum
}
