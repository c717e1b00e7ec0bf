import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { goalText, isMet, numberText } from './table.ts'
import type { Ratio, SuiteResult } from './types.ts'

const FLOOR = fileURLToPath(new URL('../floor.json', import.meta.url))

/** By suite and by the name of a ratio, what it must not fall under or rise over. */
export type Floor = Readonly<Record<string, Readonly<Record<string, NonNullable<Ratio['goal']>>>>>

/** bench/floor.json. @throws an Error if it isn't there */
export async function readFloor(path = FLOOR): Promise<Floor> {
  return JSON.parse(await readFile(path, 'utf8'))
}

/** @returns a line for each ratio that the floor names and that fails, or that wasn't measured */
export function failuresOf(found: readonly SuiteResult[], floor: Floor): string[] {
  return Object.entries(floor).flatMap(([suite, goals]) => {
    const ratios = found.find((each) => each.suite === suite)?.ratios ?? []
    return Object.entries(goals).flatMap(([name, goal]) => {
      const ratio = ratios.find((each) => each.name === name)
      if (ratio === undefined) return [`${suite}: ${name} was not measured`]
      const { value } = ratio
      if (isMet({ name, value, goal })) return []
      return [`${suite}: ${name} is ${numberText(value.median)}, and should be ${goalText(goal)}`]
    })
  })
}
