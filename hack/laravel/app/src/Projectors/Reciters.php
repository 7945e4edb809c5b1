<?php

declare(strict_types=1);

namespace StandIn\Projectors;

use StandIn\Environment;
use StandIn\Projector;
use StandIn\Slug;
use StandIn\StoredEvent;

final class Reciters extends Projector
{
    public function handles(): array
    {
        return ['reciter.created' => 'created', 'reciter.changed.name' => 'changed', 'reciter.changed.description' => 'changed',
            'reciter.changed.avatar' => 'changed', 'reciter.deleted' => 'deleted'];
    }

    public function resetState(): void
    {
        self::data()->script('truncate table "reciters" restart identity cascade');
    }

    public function created(StoredEvent $event): void
    {
        $attributes = $event->attributes;
        $row = ['id' => $event->id(), 'name' => $attributes['name'], 'slug' => Slug::unique($attributes['name'], 'reciters', $event->id()),
            'description' => $attributes['description'] ?? null, 'avatar' => $attributes['avatar'] ?? null] + self::timestamps();
        self::data()->insert('reciters', $row + self::sorted($attributes['name']));
    }

    public function changed(StoredEvent $event): void
    {
        $column = substr($event->alias, strlen('reciter.changed.'));
        $row = self::findOrFail('reciters', $event->id());
        $changes = [$column => $event->$column];
        if ($row[$column] !== $event->$column) {
            $name = $changes['name'] ?? $row['name'];
            $changes += ['slug' => Slug::unique($name, 'reciters', $row['id'])] + self::sorted($name);
        }
        self::save('reciters', $row, $changes);
    }

    public function deleted(StoredEvent $event): void
    {
        $row = self::findOrFail('reciters', $event->id());
        foreach (self::data()->all('select "id" from "albums" where "reciter_id" = ?', [$row['id']]) as $album) {
            self::data()->run('delete from "tracks" where "album_id" = ?', [$album['id']]);
            self::data()->run('delete from "albums" where "id" = ?', [$album['id']]);
        }
        self::data()->run('delete from "reciters" where "id" = ?', [$row['id']]);
    }

    /** What 7.2.2 brings: a column that 7.2.1 does not have. */
    private static function sorted(string $name): array
    {
        return version_compare(Environment::version(), '7.2.2', '>=') ? ['sort_name' => mb_strtolower($name)] : [];
    }
}
