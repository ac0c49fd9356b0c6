// Who gets the next connection, and who waits for it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Wire, frame, request, tunnel } from './lib/raw.mjs'
import { Echo, Turnout, freePort, until } from './lib/turnout.mjs'

let a, b, c
before(async () => { a = await Echo.start('a'); b = await Echo.start('b'); c = await Echo.start('c') })
after(async () => { await a.stop(); await b.stop(); await c.stop() })

const config = (pool, more = '') => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]\npools: { main: { ${pool} } }\n${more}`
async function tunnelsOf (t, count) {
  const wires = []
  for (let i = 0; i < count; i++) wires.push(await tunnel(t.port))
  return { wires, counts: t.json('servers').servers.map(s => s.tunnels) }
}
const closeAll = wires => wires.forEach(wire => wire.close())

test('round_robin follows the weights, exactly and spread', async () => {
  const t = await Turnout.start(config(`balance: round_robin, servers: [ ${a.address}, { address: ${b.address}, weight: 3 }, { address: ${c.address}, weight: 2 } ]`))
  const { wires, counts } = await tunnelsOf(t, 60)
  assert.deepEqual(counts, [10, 30, 20])
  closeAll(wires)
  await t.stop()
})
test('least_connections fills by weight, and fills what became free', async () => {
  const t = await Turnout.start(config(`servers: [ ${a.address}, { address: ${b.address}, weight: 2 } ]`))
  const { wires, counts } = await tunnelsOf(t, 30)
  assert.deepEqual(counts, [10, 20])
  closeAll(wires.splice(0, 15))
  await until(() => t.counters().tunnels === 15)
  const more = await tunnelsOf(t, 15)
  assert.deepEqual(more.counts, [10, 20])
  closeAll([...wires, ...more.wires])
  await t.stop()
})
test('max_connections holds over all workers; a freed seat goes to the longest waiter', async () => {
  const t = await Turnout.start(config(`servers: [ { address: ${a.address}, max_connections: 3 } ]`, 'timeouts: { queue: 20s }\nworkers: 4\n'))
  const { wires } = await tunnelsOf(t, 3)
  const waiting = []
  for (let i = 0; i < 6; i++) {
    const wire = await Wire.connect(t.port)
    wire.send(request('/'))
    waiting.push(wire)
    await until(() => t.json('servers').servers[0].waiting === i + 1)
  }
  assert.equal(t.server(a.address).active, 3)
  for (let i = 0; i < 6; i++) {
    wires[i].close()
    wires.push(waiting[i])
    assert.equal((await waiting[i].head()).status, 101, `waiter ${i} is next`)
    for (const later of waiting.slice(i + 1)) assert.equal(later.got.length, 0)
    assert.ok(t.server(a.address).active <= 3)
  }
  closeAll(wires)
  await t.stop()
})
test('a waiter that leaves does not take a seat with it', async () => {
  const t = await Turnout.start(config(`servers: [ { address: ${a.address}, max_connections: 1 } ]`, 'timeouts: { queue: 20s }\n'))
  const first = await tunnel(t.port)
  const impatient = await Wire.connect(t.port)
  impatient.send(request('/'))
  await until(() => t.json('servers').servers[0].waiting === 1)
  impatient.reset()
  await until(() => t.json('servers').servers[0].waiting === 0)
  assert.equal((await t.event(e => e.event === 'refused')).letters, 'CQ')
  first.close()
  ;(await tunnel(t.port)).close()
  await t.stop()
})
test('retries: 0 tries one server only', async () => {
  const dead = `127.0.0.1:${await freePort()}`
  const t = await Turnout.start(config(`balance: round_robin, servers: [ ${dead}, ${a.address} ]`, 'retries: 0\n'))
  const answers = []
  for (let i = 0; i < 4; i++) {
    const wire = await Wire.connect(t.port)
    wire.send(request('/'))
    answers.push((await wire.head()).status)
    wire.close()
  }
  assert.deepEqual(answers.sort(), [101, 101, 502, 502])
  await t.stop()
})
test('a server that is killed under its tunnels takes no one else along', async () => {
  const doomed = await Echo.start('doomed')
  const t = await Turnout.start(config(`balance: round_robin, servers: [ ${doomed.address}, ${b.address} ]`))
  const { wires } = await tunnelsOf(t, 20)
  await doomed.kill()
  await until(() => wires.filter(w => w.ended).length === 10, 'its clients are told')
  closeAll(wires.filter(w => w.ended))
  await until(() => t.counters().tunnels === 10)
  for (const wire of wires.filter(w => !w.ended)) { wire.send(frame('on')); await wire.until('on') }
  for (let i = 0; i < 4; i++) wires.push(await tunnel(t.port))
  assert.equal(t.server(b.address).tunnels, 14)
  closeAll(wires)
  await t.stop()
})
