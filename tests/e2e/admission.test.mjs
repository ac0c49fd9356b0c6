// How many handshakes a server is asked for: a dead server with thousands of tunnels must not take the others with it. The servers
// count, not we.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counted, mostWithin } from './lib/counted.mjs'
import { Wire, plain, request } from './lib/raw.mjs'
import { Turnout, until } from './lib/turnout.mjs'

const RATE = 200
const BURST = 10
// What leaves us at that rate may come closer together by how much the ways there differ in time: a connect each, and how late the
// server was on a busy machine, which it says itself.
const CONNECT_MSEC = 25
const mostIn = (msec, lag) => BURST + Math.floor((msec + CONNECT_MSEC + lag) * RATE / 1000)

const configuration = (servers, { admission = '', queue = '10s', policy = '' } = {}) => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
timeouts: { queue: ${queue} }
pools: { main: { ${admission}${policy} servers: [ ${servers.map(s => s.address ?? s).join(', ')} ] } }
`
const perServer = (more = '') => `admission: { rate: ${RATE}/s, burst: ${BURST}, queue: 5000 ${more} }, `

// One client that wants to be connected: comes back at once when it is cut, and after Retry-After when it is told so.
class Client {
  constructor (port) { this.port = port; this.tries = 0; this.refusals = [] }

  async connect () {
    for (;;) {
      this.tries++
      const wire = await Wire.connect(this.port).catch(() => null)
      const head = await wire?.send(request('/')).head(30000).catch(() => null)
      if (head?.status === 101) {
        this.wire = wire
        this.since = Date.now()
        wire.closed(600000).then(() => { this.lost = true }, () => {})
        return
      }
      wire?.close()
      if (head) this.refusals.push(head)
      await new Promise(resolve => setTimeout(resolve, 1000 * (head?.fields['retry-after'] ?? 0)))
    }
  }
}

async function inCrowds (clients, size, act) {
  for (let i = 0; i < clients.length; i += size) await Promise.all(clients.slice(i, i + size).map(act))
}

test('a server with 2,000 tunnels is killed: no other is asked for more than its rate, and all are back in time', { timeout: 120000 }, async () => {
  const crowd = 2000
  const [dying, ...others] = [await Counted.start(), await Counted.start(), await Counted.start()]
  const t = await Turnout.start(configuration([dying]))
  const clients = Array.from({ length: crowd }, () => new Client(t.port))
  await inCrowds(clients, 200, c => c.connect())
  t.write(configuration([dying, ...others], { admission: perServer() })(t))
  assert.equal(t.command('reload').code, 0)

  const killed = Date.now()
  await dying.kill()
  await Promise.all(clients.map(c => c.wire.closed(20000).then(() => c.connect())))
  const msec = Math.max(...clients.map(c => c.since)) - killed

  // what the two may take, and as much again as a queue's wait for those who were refused
  assert.ok(msec < 1000 * crowd / (2 * RATE) * 2, `all are back after ${msec} ms`)
  for (const server of others) {
    const { times, lag } = await server.report()
    assert.ok(times.length >= crowd * 0.4, `each does its part: ${times.length}`)
    for (const msec of [1000, 3000]) assert.ok(mostWithin(times, msec, killed) <= mostIn(msec, lag), `${mostWithin(times, msec, killed)} in ${msec} ms, lag ${lag} ms`)
  }
  for (const c of clients) c.wire.close()
  await t.stop()
  for (const server of others) await server.stop()
})

test('who finds the queue full is told when to come again, and the others keep their turn', { timeout: 60000 }, async () => {
  const server = await Counted.start()
  const t = await Turnout.start(configuration([server], { admission: 'admission: { rate: 50/s, burst: 1, queue: 20 }, ' }))
  const wires = await Promise.all(Array.from({ length: 60 }, () => Wire.connect(t.port)))
  const heads = await Promise.all(wires.map(w => w.send(request('/')).head(10000)))
  const refused = heads.filter(h => h.status === 503)
  assert.equal(heads.filter(h => h.status === 101).length + refused.length, 60)
  assert.ok(refused.length >= 30 && refused.length <= 45, `${refused.length} refused`)
  for (const h of refused) assert.ok(Number(h.fields['retry-after']) >= 1)
  await t.event(e => e.reason === 'QUEUE_FULL')
  assert.equal((await server.times()).length, 60 - refused.length)
  for (const w of wires) w.close()
  await t.stop()
  await server.stop()
})

test('who waits too long for its turn is told so; a pool as a whole may have a rate, too', async () => {
  const servers = [await Counted.start(), await Counted.start()]
  const t = await Turnout.start(configuration(servers, { admission: 'admission_pool: { rate: 10/s, burst: 5 }, ', queue: '500ms' }))
  const began = Date.now()
  const wires = await Promise.all(Array.from({ length: 40 }, () => Wire.connect(t.port)))
  const heads = await Promise.all(wires.map(w => w.send(request('/')).head(10000)))
  const served = heads.filter(h => h.status === 101).length
  assert.ok(served >= 8 && served <= 5 + 10 * (Date.now() - began) / 1000 + 1, `${served} served`)
  assert.ok(heads.every(h => h.status === 101 || (h.status === 503 && h.fields['retry-after'])))
  await t.event(e => e.reason === 'QUEUE_TOO_SLOW')
  for (const w of wires) w.close()
  await t.stop()
  for (const server of servers) await server.stop()
})

test('plain requests do not wait behind handshakes', async () => {
  const server = await Counted.start()
  const t = await Turnout.start(configuration([server], { admission: 'admission: { rate: 1/s, burst: 1, queue: 100 }, ' }))
  const waiting = await Promise.all(Array.from({ length: 5 }, () => Wire.connect(t.port)))
  for (const w of waiting) w.send(request('/'))
  await until(async () => t.json('servers').servers[0].waiting >= 4, 'four wait')
  const wire = await Wire.connect(t.port)
  wire.send(plain('/'))
  await until(async () => (await server.times()).length === 2, 'the request has come, before the other handshakes')
  wire.close()
  for (const w of waiting) w.close()
  await t.stop()
  await server.stop()
})

// --- slow start, panic and backups, with servers that come and go
test('a server that is added gets a growing share', { timeout: 60000 }, async () => {
  const servers = [await Counted.start(), await Counted.start()]
  const t = await Turnout.start(configuration([servers[0]], { policy: 'balance: round_robin, slow_start: 4s, ' }))
  t.write(configuration(servers, { policy: 'balance: round_robin, slow_start: 4s, ' })(t))
  assert.equal(t.command('reload').code, 0)
  const began = Date.now()
  const wires = []
  while (Date.now() - began < 5000) {
    const wire = await Wire.connect(t.port)
    assert.equal((await wire.send(request('/')).head()).status, 101)
    wires.push(wire)
    wire.at = Date.now() - began
    await new Promise(resolve => setTimeout(resolve, 4))
  }
  const times = (await servers[1].times()).map(x => x - began)
  const share = (from, to) => times.filter(x => x >= from && x < to).length / wires.filter(w => w.at >= from && w.at < to).length
  assert.ok(share(0, 1000) < 0.25, `in the first second ${share(0, 1000)}`)
  assert.ok(share(2000, 3000) > share(0, 1000), `in the third ${share(2000, 3000)}`)
  assert.ok(share(4200, 5000) > 0.4, `then ${share(4200, 5000)}`)
  for (const w of wires) w.close()
  await t.stop()
  for (const server of servers) await server.stop()
})

