import argon2 from 'argon2'

/** The password of every account that is seeded, and of everybody who signs up. */
export const PASSWORD = 'a long walk by the river'

/** argon2id with Latchkey's defaults. */
export const argon2Parameters = {
  type: argon2.argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
} as const
