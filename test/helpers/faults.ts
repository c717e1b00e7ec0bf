import { ConfigError, parseConfig } from '../../src/config.ts'

/** The faults of a configuration, a line each; none where it is right. */
export function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    parseConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}
