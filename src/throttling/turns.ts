import { Problem } from '../problem.ts'

// Milliseconds. Who has waited for longer when another one is done is told so: it will be no better for the next.
const LONGEST_TURN = 1_000

interface Place {
  /** Who is under way or waits, in the order in which they came. */
  readonly members: object[]
  /** How many may be under way, as far as was seen. */
  most: number
  /** Settles when one of them is done. */
  nextEnd: PromiseWithResolvers<void>
}

/**
 * Turns at what may go wrong only so often: of those who come at once, on this node, as many are under way as may still
 * fail, and at least one. Each counts all who came before it and aren't done as if they failed.
 */
export function createTurns() {
  const places = new Map<string, Place>()

  /**
   * Does work when it is its turn.
   *
   * @param name at what
   * @param most how many are under way at most
   * @param look finds out how many more may fail; who may not try at all is thrown out by it
   * @throws Problem overloaded where its turn hasn't come after a second; what look() and work() throw
   */
  return async function inTurn<Seen extends { readonly room: number }, Result>(
    name: string,
    most: number,
    look: () => Promise<Seen>,
    work: (seen: Seen) => Promise<Result>,
  ): Promise<Result> {
    const place = places.get(name) ?? { members: [], most, nextEnd: Promise.withResolvers<void>() }
    places.set(name, place)
    const me = {}
    const cameAt = performance.now()
    place.members.push(me)
    try {
      for (;;) {
        // Taken before the look: whoever ends meanwhile is either seen by it or makes for another one.
        const ahead = place.members.indexOf(me)
        const { promise: anEnd } = place.nextEnd
        if (ahead < place.most) {
          const seen = await look()
          place.most = Math.min(most, Math.max(1, seen.room))
          if (ahead < place.most) return await work(seen)
        }
        await anEnd
        if (performance.now() - cameAt > LONGEST_TURN) throw new Problem('overloaded')
      }
    } finally {
      place.members.splice(place.members.indexOf(me), 1)
      if (place.members.length === 0) places.delete(name)
      place.nextEnd.resolve()
      place.nextEnd = Promise.withResolvers()
    }
  }
}
