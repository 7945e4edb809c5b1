<?php

declare(strict_types=1);

namespace StandIn\Projectors;

use StandIn\Projector;
use StandIn\StoredEvent;

/** What the three projectors of revisions have in common. */
abstract class Revisions extends Projector
{
    abstract protected function type(): string;

    public function resetState(): void
    {
        self::data()->run('delete from "revisions" where "entity_type" = ?', [$this->type()]);
    }

    /** @param array<string, mixed> $snapshot */
    protected function begin(StoredEvent $event, array $snapshot): void
    {
        $stored = StoredEvent::find($event->id);
        $this->write($stored, $snapshot['id'], 0, array_map(static fn (): mixed => null, array_filter($snapshot, static fn (mixed $v): bool => $v !== null)), $snapshot, 'created');
    }

    /** @param array<string, mixed> $changes */
    protected function modify(StoredEvent $event, string $entity, array $changes): void
    {
        $stored = StoredEvent::find($event->id);
        [$before, $version] = $this->latest($entity);
        $after = array_merge($before, $changes);
        $old = [];
        foreach ($after as $key => $value) {
            if (json_encode($value) !== json_encode($before[$key])) {
                $old[$key] = $before[$key];
            }
        }
        if ($old !== []) {
            $this->write($stored, $entity, $version, $old, $after, 'modified');
        }
    }

    protected function end(StoredEvent $event, string $entity): void
    {
        $stored = StoredEvent::find($event->id);
        [$last, $version] = $this->latest($entity);
        $this->write($stored, $entity, $version, array_map(static fn (): mixed => null, array_filter($last, static fn (mixed $v): bool => $v !== null)), $last, 'deleted');
    }

    /** @return array{array<string, mixed>, int} */
    protected function latest(string $entity): array
    {
        $row = self::data()->first('select * from "revisions" where "entity_type" = ? and "entity_id" = ? order by "version" desc limit 1', [$this->type(), $entity]);
        return $row === null ? throw new \RuntimeException("No revision of {$this->type()} $entity")
            : [json_decode($row['new_values'], true, 512, JSON_THROW_ON_ERROR), (int) $row['version']];
    }

    private function write(StoredEvent $event, string $entity, int $version, array $old, array $new, string $type): void
    {
        self::data()->insert('revisions', ['id' => self::uuid(), 'entity_type' => $this->type(), 'entity_id' => $entity,
            'old_values' => json_encode($old, JSON_THROW_ON_ERROR | JSON_FORCE_OBJECT), 'new_values' => json_encode($new, JSON_THROW_ON_ERROR), 'change_type' => $type,
            'user_id' => $event->userId(), 'version' => $version + 1, 'event_id' => $event->id, 'created_at' => $event->createdAt]);
    }

    private static function uuid(): string
    {
        $hex = bin2hex(random_bytes(16));
        return substr($hex, 0, 8) . '-' . substr($hex, 8, 4) . '-4' . substr($hex, 13, 3) . '-8' . substr($hex, 17, 3) . '-' . substr($hex, 20);
    }
}
