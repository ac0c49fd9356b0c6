// A server more: the next clients go there, and who is there already is spread anew.
import assert from 'node:assert/strict'
import http from 'node:http'
import { test } from 'node:test'
import { Echo, Turnout, until } from './lib/turnout.mjs'
import { Wire, closeFrame, request } from './lib/raw.mjs'

const ask = (t, method, path, body) => new Promise((resolve, reject) => {
  const r = http.request({ socketPath: t.admin.slice(5), method, path, headers: { 'content-type': 'application/json' } }, answer => {
    let text = ''
    answer.on('data', data => { text += data }).on('end', () => resolve({ status: answer.statusCode, json: JSON.parse(text) }))
  })
  r.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body))
})

// Clients that come back when they are closed, as clients do.
class Crowd {
  constructor (t) { this.t = t; this.open = new Set(); this.codes = []; this.closedAt = [] }

  async #one () {
    const wire = await Wire.connect(this.t.port)
    wire.send(request('/'))
    if ((await wire.head()).status !== 101) throw new Error('no tunnel')
    this.open.add(wire)
    wire.closed(600000).then(() => {
      if (this.isOver || !this.open.delete(wire)) return
      this.closedAt.push(Date.now())
      this.codes.push(wire.got.equals(closeFrame(1012, false)) ? 1012 : wire.got.toString('hex'))
      wire.close()
      return this.stays ? undefined : this.#one()
    }).catch(error => { this.error = error })
  }

  async add (count) { for (let i = 0; i < count; i += 20) await Promise.all(Array.from({ length: Math.min(20, count - i) }, () => this.#one())) }
  end () { this.isOver = true; for (const wire of this.open) wire.close() }
}

const counts = (t, servers) => servers.map(s => t.server(s.address).tunnels)
const settled = (t, servers, total) => until(() => counts(t, servers).reduce((a, b) => a + b) === total && counts(t, servers), `${total} tunnels`)
async function setup (servers, more = '') {
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { chat: { balance: least_connections, servers: [ ${servers.map(s => s.address).join(', ')} ]${more} } }
`)
  return { t, crowd: new Crowd(t) }
}
const rebalance = async (t, body) => {
  const { status, json } = await ask(t, 'POST', '/api/v1/rebalances', { pool: 'chat', ...body })
  assert.equal(status, 201, JSON.stringify(json))
  return json
}
const doneOf = (t, id) => until(async () => { const { json } = await ask(t, 'GET', `/api/v1/rebalances/${id}`); return json.done && json }, 'it is done', 30000)

test('two servers with 300 tunnels each, a third one comes: the next 300 go there', async () => {
  const servers = await Promise.all([Echo.start(), Echo.start(), Echo.start()])
  const { t, crowd } = await setup(servers.slice(0, 2))
  await crowd.add(600)
  assert.deepEqual(await settled(t, servers.slice(0, 2), 600), [300, 300])
  assert.equal(t.command('add', `chat/${servers[2].address}`).code, 0)
  await crowd.add(300)
  assert.deepEqual(await settled(t, servers, 900), [300, 300, 300])
  const { id } = await rebalance(t, {})
  assert.equal((await doneOf(t, id)).closed, 0, 'and there is nothing to even out')
  crowd.end()
  await t.stop()
  for (const s of servers) await s.stop()
})

test('a rebalance brings all within the tolerance, at its rate, and closes no more than that takes', async () => {
  const servers = await Promise.all([Echo.start(), Echo.start(), Echo.start()])
  const { t, crowd } = await setup(servers.slice(0, 2))
  await crowd.add(600)
  t.command('add', `chat/${servers[2].address}`)
  const began = Date.now()
  const { id, left } = await rebalance(t, { rate: '100/s', tolerance: '10%' })
  assert.equal(left, 160)
  const r = await doneOf(t, id)
  const took = Date.now() - began
  assert.deepEqual([r.closed, r.unaligned, r.left], [160, 0, 0])
  assert.ok(r.above_percent <= 10)
  assert.ok(took > 1500 && took < 6000, `${took} ms`)
  const inSecond = crowd.closedAt.filter(at => at - began < 1200).length
  assert.ok(inSecond > 60 && inSecond <= 125, `${inSecond} in 1.2 s`)
  assert.deepEqual(await settled(t, servers, 600), [220, 220, 160])

  const done = t.command('rebalance', 'chat', '--rate', '500/s', '--tolerance', '3%', '--wait')
  assert.match(done.out, /rebalance \d+ of pool chat, done: \d+ closed \(0 unaligned\), 0 left, the fullest is [0-3] % above the mean/)
  const last = await settled(t, servers, 600)
  assert.ok(last.every(n => n >= 180 && n <= 220), `within 10 % of the mean: ${last}`)
  assert.equal(crowd.error, undefined)
  assert.deepEqual([...new Set(crowd.codes)], [1012])
  assert.equal((await t.event(e => e.event === 'close' && e.reason === 'REBALANCED')).letters, 'DD')
  crowd.end()
  await t.stop()
  for (const s of servers) await s.stop()
})

test('full is by weight; who is drained or a backup takes no part; who does not come back makes nobody else leave', async () => {
  const servers = await Promise.all([Echo.start(), Echo.start(), Echo.start(), Echo.start()])
  const { t, crowd } = await setup(servers.slice(0, 2))
  await crowd.add(200)
  crowd.stays = true
  assert.equal(t.command('add', `chat/${servers[2].address}`, '--weight', '2').code, 0)
  assert.equal(t.command('add', `chat/${servers[3].address}`, '--backup').code, 0)
  const { id } = await rebalance(t, { rate: '1000/s', tolerance: '20%' })
  assert.equal((await doneOf(t, id)).closed, 80) // 200 tunnels by weights 1, 1, 2: 50, 50, 100; 60 of those are allowed
  assert.deepEqual(counts(t, servers), [60, 60, 0, 0])
  assert.equal(t.command('drain', 'server', `chat/${servers[0].address}`, '--over', '60s').code, 0)
  const again = await rebalance(t, { rate: '1000/s', tolerance: '20%' })
  assert.equal(again.left, 36) // 60 tunnels by weights 1, 2: 20 and its tolerance
  assert.equal((await doneOf(t, again.id)).closed, 36)
  crowd.end()
  await t.stop()
  for (const s of servers) await s.stop()
})

test('stopped half-way; a second one of the pool is refused while one runs; a pool that goes with a reload ends it', async () => {
  const servers = await Promise.all([Echo.start(), Echo.start()])
  const { t, crowd } = await setup(servers.slice(0, 1))
  await crowd.add(40)
  t.command('add', `chat/${servers[1].address}`)
  const { id } = await rebalance(t, { rate: '5/s' })
  await until(async () => (await ask(t, 'GET', `/api/v1/rebalances/${id}`)).json.closed >= 2)
  assert.equal((await ask(t, 'POST', '/api/v1/rebalances', { pool: 'chat' })).status, 409)
  assert.match(t.command('status').out, /rebalance \d+ of pool chat, under way/)
  const { json } = await ask(t, 'DELETE', `/api/v1/rebalances/${id}`)
  assert.deepEqual([json.done, json.undone], [true, true])
  const closed = json.closed
  await settled(t, servers, 40)
  assert.ok(crowd.codes.length <= closed)
  const next = await rebalance(t, { rate: '1/s' })
  t.write(`listeners: [ { listen: 127.0.0.1:${t.port} } ]\npools: { other: { servers: [ ${servers[0].address} ] } }\n`)
  assert.equal(t.command('reload').code, 0)
  await doneOf(t, next.id)
  assert.equal((await ask(t, 'POST', '/api/v1/rebalances', { pool: 'chat' })).status, 404)
  assert.equal((await ask(t, 'POST', '/api/v1/rebalances', {})).status, 422)
  assert.equal((await ask(t, 'POST', '/api/v1/rebalances', { pool: 'other', rate: '0/s' })).status, 422)
  assert.equal((await ask(t, 'POST', '/api/v1/rebalances', { pool: 'other', tolerance: 'much' })).status, 422)
  crowd.end()
  await t.stop()
  for (const s of servers) await s.stop()
})
