import type { FastifyInstance } from 'fastify'
import { StartError } from './start-error.ts'

/** Where somebody wants to listen. */
export interface Address {
  /** The variable that says the port. */
  readonly variable: 'PORT' | 'METRICS_PORT'
  readonly host: string
  readonly port: number
}

/** Listens, and says so in the log. @throws StartError that names the variables */
export async function listen(server: FastifyInstance, { variable, host, port }: Address): Promise<void> {
  const name = variable === 'PORT' ? 'Server' : 'Metrics server'
  try {
    await server.listen({ host, port, listenTextResolver: (address) => `${name} listening at ${address}` })
  } catch (error) {
    throw cannotListen({ variable, host, port }, error)
  }
}

/** @returns what to say where an address can't be had, by the system's `code` */
export function cannotListen({ variable, host, port }: Address, error: unknown): StartError {
  const { code } = error as NodeJS.ErrnoException
  return new StartError(`HOST and ${variable}: can't listen on ${host}:${port} (${code})`)
}
