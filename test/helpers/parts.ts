import { pino } from 'pino'
import { createTrail, type Trail } from '../../src/audit/trail.ts'
import { createAttemptStore } from '../../src/throttling/store.ts'
import { createThrottle, type Throttle } from '../../src/throttling/throttle.ts'
import type { TestService } from './service.ts'

/** What rules write down and count with, for who builds rules on a service's database. */
export function trailAndThrottle({
  database: { db },
  config: { attemptsPerAddress },
  clock,
}: Pick<TestService, 'database' | 'config' | 'clock'>): { trail: Trail; throttle: Throttle } {
  return {
    trail: createTrail({ db, log: pino({ level: 'silent' }, { write: () => {} }), clock }),
    throttle: createThrottle({ store: createAttemptStore(db), attemptsPerAddress, clock }),
  }
}
