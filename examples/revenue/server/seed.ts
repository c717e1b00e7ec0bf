import { DatabaseSync } from 'node:sqlite'

const WEEK = 7 * 86_400_000
const LAST_WEEK = Date.parse('2026-11-16')
const WEEKS = 52

// What each sells in a week at the end, by how much that has grown in the year, and how much weeks differ.
const products = [
  { name: 'Wholesale beans', cents: 4_120_000, growth: 0.24, spread: 0.08 },
  { name: 'Subscriptions', cents: 2_260_000, growth: 0.41, spread: 0.03 },
  { name: 'Espresso machines', cents: 1_840_000, growth: 0.08, spread: 0.38 },
  { name: 'Barista training', cents: 640_000, growth: -0.06, spread: 0.22 },
  { name: 'Accessories', cents: 410_000, growth: 0.12, spread: 0.12 },
]

const deals = [
  ['Hotel Aldergrove', 'Contract', 8_640_000, 90, '2026-12-04', 'Mira Sandoval'],
  ['Tram 7 Bakeries', 'Contract', 3_120_000, 85, '2026-12-11', 'Jonas Weil'],
  ['Northlight Offices', 'Negotiation', 5_480_000, 70, '2026-12-18', 'Mira Sandoval'],
  ['Quayside Roast Club', 'Negotiation', 2_250_000, 60, '2027-01-08', 'Tomasz Brandt'],
  ['Alma University', 'Negotiation', 11_200_000, 55, '2027-01-22', 'Jonas Weil'],
  ['Bramble & Rye', 'Proposal', 1_470_000, 45, '2027-01-15', 'Tomasz Brandt'],
  ['Sundial Hospitals', 'Proposal', 9_750_000, 40, '2027-02-12', 'Mira Sandoval'],
  ['Perron Railway Kiosks', 'Proposal', 6_300_000, 35, '2027-02-26', 'Jonas Weil'],
  ['Studio Kestrel', 'Lead', 980_000, 20, '2027-03-05', 'Tomasz Brandt'],
  ['Meridian Coworking', 'Lead', 4_400_000, 15, '2027-03-19', 'Mira Sandoval'],
] as const

/**
 * Writes a year of an organisation's sales and its open deals: the same figures every time.
 *
 * @param path of an SQLite file that isn't there yet
 */
export function seed(path: string): void {
  const db = new DatabaseSync(path)
  db.exec(`
    create table sales (week text, product text, cents integer not null, primary key (week, product)) strict;
    create table deals (id integer primary key, customer text not null, stage text not null, cents integer not null,
      probability integer not null, closes_on text not null, owner text not null) strict;
    begin;
  `)
  const sale = db.prepare('insert into sales values (?, ?, ?)')
  const random = randomFrom(7)
  for (let ago = WEEKS - 1; ago >= 0; ago--) {
    const monday = new Date(LAST_WEEK - ago * WEEK)
    // People drink more of it in winter, and give it away in December.
    const month = monday.getUTCMonth()
    const season = 1 + 0.07 * Math.cos((month / 6) * Math.PI) + (month === 11 ? 0.09 : 0)
    for (const { name, cents, growth, spread } of products) {
      const trend = 1 - (growth * ago) / WEEKS
      const chance = 1 + spread * (random() + random() - 1)
      sale.run(monday.toISOString().slice(0, 10), name, Math.round(cents * trend * season * chance))
    }
  }
  const deal = db.prepare(
    'insert into deals (customer, stage, cents, probability, closes_on, owner) values (?, ?, ?, ?, ?, ?)',
  )
  for (const each of deals) deal.run(...each)
  db.exec('commit')
  db.close()
}

/** Park and Miller's generator: numbers from 0 to 1, the same ones for the same start. */
function randomFrom(start: number): () => number {
  let state = start
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}
