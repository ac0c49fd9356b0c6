// A thousand tunnels, drained over five seconds while servers stream 64 KiB messages to them.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { closeFrame, tunnel } from './lib/raw.mjs'
import { Listener, Streams, frameBytes } from './lib/streams.mjs'
import { Turnout, binary, until } from './lib/turnout.mjs'

const dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-drain-'))
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=x', '-keyout', `${dir}/x.key`, '-out', `${dir}/x.crt`], { stdio: 'ignore' })
after(() => rmSync(dir, { recursive: true }))
const isSanitized = /asan|tsan/.test(binary)
const count = isSanitized ? 200 : 1000
const overMsec = 5000
const periodMsec = 400 // in which a frame comes to its end

for (const [scheme, tiers] of [['ws', 'copy'], ['ws', 'splice, copy'], ['wss', 'copy']]) {
  test(`${scheme}, ${tiers}: each is told 1012 behind a whole frame, evenly, on both sides`, async () => {
    const streams = await Streams.start(periodMsec)
    const t = await Turnout.start(t => `relay: { tiers: [ ${tiers} ] }
listeners: [ { listen: 127.0.0.1:${t.port}${scheme === 'wss' ? `, tls: { mode: terminate, certificates: [ { cert: ${dir}/x.crt, key: ${dir}/x.key } ] }` : ''} } ]
pools: { main: { servers: [ ${streams.address} ] } }
`)
    const clients = []
    while (clients.length < count) {
      clients.push(...await Promise.all(Array.from({ length: 50 }, async () => new Listener(await tunnel(t.port, '/', scheme === 'wss' ? { tls: { servername: 'x' } } : {})))))
    }
    await until(() => clients.every(c => c.heard > 3 * frameBytes), 'all of them stream', 30000)
    if (tiers !== 'copy') await until(() => t.json('connections').connections.some(c => c.to_client_relay.tier === 'splice'), 'splice serves')

    const began = Date.now()
    const { id } = t.json('drain', 'pool', 'main', '--over', `${overMsec}ms`)
    await until(() => clients.every(c => c.wire.ended), 'all have ended', 30000)
    const d = await until(() => t.json('status').drains.find(d => d.id === id && d.done))
    const told = await until(async () => { const told = await streams.told(); return told.ended >= count && told })

    const close = closeFrame(1012, false)
    assert.equal(clients.filter(c => c.rest.equals(close)).length, count, 'every client sees 1012 and nothing behind it')
    assert.equal(clients.filter(c => c.heard % frameBytes).length, 0, 'every byte before it is an exact prefix, of whole frames')
    assert.deepEqual(told.codes, { 1012: count }, 'every server sees it, too')
    assert.ok(told.inside >= 0.95 * count, `${told.inside} were inside a frame`)
    assert.deepEqual([d.closed, d.left, d.unaligned], [count, 0, 0])

    const inSecond = from => clients.filter(c => c.restAt - began >= from && c.restAt - began < from + 1000).length
    const rates = [500, 1500, 2500, 3500].map(inSecond)
    const even = count * 1000 / overMsec
    assert.ok(rates.every(n => n > 0.8 * even && n < 1.2 * even), `in each second: ${rates}`)
    assert.ok(Math.max(...clients.map(c => c.restAt)) - began < overMsec + 2 * periodMsec + 1000, 'and within the window')
    for (const c of clients) c.wire.close()
    await t.stop()
    await streams.stop()
  })
}
